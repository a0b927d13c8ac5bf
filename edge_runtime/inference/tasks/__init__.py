"""Tasks: what is done round a network so that pictures go in and pictures come out.

A task knows pictures and parameters. It knows no slots, no clock and no other part: the worker feeds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_runtime.config import ModelConfig
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Bundle, Range
from edge_runtime.inference.session import Session, open_session
from edge_runtime.signals import Value
from edge_runtime.slots import Array

FrameBgr = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, blue green red."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one run is given."""

    frames: Sequence[FrameBgr]
    """The newest frame of every input, of any size: BGR, or BGRA where a model made it. Borrowed."""
    values: Mapping[str, float | str]
    """Every parameter's value; a text for a parameter that is a text."""
    captured_s: Sequence[float] = ()
    """When each frame's light fell in, monotonic."""
    at_s: float = 0.0
    """Now, monotonic."""

    def number(self, name: str) -> float:
        """The value of a parameter that is a number."""
        return float(self.values[name])


def check_finite(name: str, output: Array) -> None:
    """Refuse an output that holds what is no number: blended with the past, one pixel of it would never go away.

    Raises:
        SessionError: it does.
    """
    if not np.isfinite(output.sum(dtype=np.float64)):
        raise SessionError(f"{name}: the network's output is not finite")


class Task(Protocol):
    """One model at work. Used from one thread: the worker that opened it."""

    session: Session
    parameters: Mapping[str, Range | None]
    """What signals and commands may drive, with their range; None: a text."""
    defaults: Mapping[str, float | str]
    """Every parameter's value where nothing drives it."""
    continuous: bool
    """True: it runs at the model's rate. False: only on a new frame or a changed parameter."""
    channels: int
    """Of its picture: 3 for BGR, 4 for BGRA with straight alpha."""
    behind_s: float
    """How much older than its first input what the last run showed is."""

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        """Make one picture, or find something out, or both.

        Args:
            work: frames and parameters.
            out: (H, W, `channels`) to fill. Its size is the model's size of this moment; it may change between runs.
                A task that makes no picture leaves it alone.

        Returns:
            The manifest's readings by name; those that are left out keep their last value on the board.

        Raises:
            SessionError: the network failed on this input. `out` is then undefined; the task stays usable.
        """
        ...

    def reset(self) -> None:
        """Forget earlier frames: the next run starts afresh."""
        ...


def open_task(model: ModelConfig, bundle: Bundle, size_px: tuple[int, int], engines: Path | None = None) -> Task:
    """Load the bundle's network for the task its manifest names, ready to run at `size_px`.

    The caller closes `task.session`. TensorRT engines are kept in the folder `engines`; None: none are used.

    Raises:
        BundleError: it has no file of the precision asked for.
        SessionError: it cannot run at this size, or no runtime here can load it.
    """
    manifest = bundle.manifest
    if fault := manifest.size_fault(size_px):
        raise SessionError(f"model {model.name!r}: size_px = {list(size_px)} does not suit {manifest.name!r}: {fault}")
    session = open_session(
        bundle, precision=model.precision, threads=model.threads, backend=model.backend, engines=engines
    )
    task: Task
    match manifest.task:
        case "passthrough":
            from edge_runtime.inference.tasks.passthrough import Passthrough

            task = Passthrough(session, manifest, continuous=not model.inputs)  # nothing comes in: it generates
        case "stylize":
            from edge_runtime.inference.tasks.stylize import Stylize

            task = Stylize(session, manifest, stabilise=model.stabilise)
        case "backdrop":
            from edge_runtime.inference.tasks.backdrop import Backdrop

            task = Backdrop(session, manifest, size_px, seed=len(model.name))
        case "matte":
            from edge_runtime.inference.tasks.matte import Matte

            task = Matte(session, manifest)
        case "people":
            from edge_runtime.inference.tasks.people import People

            task = People(session, manifest)
        case "face":
            from edge_runtime.inference.tasks.face import Face

            task = Face(session, manifest)
        case "interpolate":
            from edge_runtime.inference.tasks.interpolate import Interpolate

            task = Interpolate(session, manifest)
        case "enlarge":
            from edge_runtime.inference.tasks.enlarge import Enlarge

            task = Enlarge(session, manifest)
        case "prompt":
            from edge_runtime.inference.tasks.prompt import Prompt

            task = Prompt(session, bundle)
        case "image":
            from edge_runtime.inference.tasks.image import Image

            task = Image(session, manifest, continuous=not model.inputs)
    return task
