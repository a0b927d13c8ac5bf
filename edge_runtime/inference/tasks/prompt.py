"""Prompt: what a short sentence says of weather, time, place, mood, style and colour, as numbers.

Where it says nothing of a group, the readings of that group are those of the parameters `outside.*`: the venue's own.
"""

from collections.abc import Mapping

import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Bundle
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.inference.tasks.words import Words
from edge_runtime.signals import Value
from edge_runtime.slots import Array

TEXT, OUTSIDE, KNOWN = "text", "outside.", "known"
PIECES = 32


class Prompt:
    """A sentence in; readings out. It makes no picture."""

    def __init__(self, session: Session, bundle: Bundle) -> None:
        manifest = bundle.manifest
        if not manifest.assets:
            raise SessionError(f"{manifest.name}: task = 'prompt' needs its vocabulary under [[assets]]")
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = False, 3, 0.0
        self._words = Words.read(bundle.folder / manifest.assets[0].path)
        self._readings = [reading.name for reading in manifest.readings if reading.name != KNOWN]
        self._silent = self._run("")[0]
        self._outside = [name.removeprefix(OUTSIDE) for name in manifest.parameters if name.startswith(OUTSIDE)]

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        said, unsaid = self._run(str(work.values[TEXT]))
        readings: dict[str, Value] = dict(zip(self._readings, said.tolist(), strict=True))
        for name in self._outside:
            at = self._readings.index(name)
            readings[name] = float(said[at] + unsaid[at] * (work.number(OUTSIDE + name) - self._silent[at]))
        readings[KNOWN] = float(1 - unsaid.min())
        return readings

    def _run(self, sentence: str) -> tuple[Array, Array]:
        numbers = self._words.numbers(sentence, PIECES)
        pieces = np.full((1, PIECES), -1, np.int64)
        pieces[0, : len(numbers)] = numbers
        outputs = self.session.run({"pieces": pieces})
        return outputs["said"][0], outputs["unsaid"][0]

    def reset(self) -> None:
        """Nothing to forget."""
