"""Students: one module for each bundle that we make. What is common to all of them is here."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from export.errors import ExportError
from export.run import Run

NAMES = ("stylize", "stylize_lite", "backdrop", "matte", "matte_square", "people", "face", "prompt")
"""Modules of this folder. A bundle's name has a dash where its module has an underscore."""

Arrays = Mapping[str, npt.NDArray[Any]]
"""Inputs or outputs of a network by tensor name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One measured figure and what it must not pass. `limit` None: told, not judged."""

    what: str
    seen: float
    limit: float | None = None
    at_most: bool = True

    @property
    def holds(self) -> bool:
        """Whether the figure is on the right side."""
        if self.limit is None:
            return True
        return bool(np.isfinite(self.seen)) and (self.seen <= self.limit if self.at_most else self.seen >= self.limit)

    @property
    def holds_easily(self) -> bool:
        """Whether it would hold if it were twice as bad. A figure that must not be below its limit is one of 0-1."""
        if self.limit is None:
            return True
        limit = self.limit / 2 if self.at_most else 1 - (1 - self.limit) / 2
        return Bound(self.what, self.seen, limit, self.at_most).holds


class Student(Protocol):
    """One bundle in the making. Every step may be repeated and leaves the same result."""

    name: str
    """The bundle's folder in models/."""
    sources: tuple[str, ...]
    """What it is made of, by name in sources.toml."""
    precisions: tuple[str, ...]
    """What is tried beside fp32: fp16, int8, int8-trt."""

    def distil(self, run: Run) -> None:
        """Train. Where nothing is trained, convert the teacher. Leaves weights in the run's folder."""
        ...

    def to_onnx(self, run: Run, path: Path) -> None:
        """Write the fp32 network, checked and slimmed, opset 17 or later, with the manifest's tensor names."""
        ...

    def calibration(self, run: Run) -> Iterator[Arrays]:
        """Real inputs to choose int8 ranges by: 16 to 64 of them, the same every time."""
        ...

    def keep_float(self) -> Sequence[str]:
        """Nodes (by name pattern) that stay float in int8, because parity breaks otherwise."""
        ...

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        """Compare a variant's outputs with fp32's on the same inputs: DESIGN's bounds."""
        ...

    def held_out(self, run: Run) -> Iterator[Arrays]:
        """Inputs that were neither trained nor calibrated on, nor used to choose anything: 8 to 36 of them."""
        ...

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        """What the student is worth beside its teacher: quality, flicker, speed in the same run."""
        ...

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        """The teacher's own file and what is `inputs` to it, to be timed beside; None where it has none of its own."""
        ...

    def manifest(self) -> dict[str, Any]:
        """manifest.toml but for files, quality and budgets, which are measured."""
        ...


def open_student(name: str) -> Student:
    """The student of a bundle.

    Raises:
        ExportError: there is none of that name.
    """
    module = name.replace("-", "_")
    if module not in NAMES:
        raise ExportError(f"no student {name!r}; known: {', '.join(n.replace('_', '-') for n in NAMES)}")
    student: Student = importlib.import_module(f"export.students.{module}").STUDENT
    return student
