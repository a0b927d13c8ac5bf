"""Engines of every variant, as a proof that TensorRT takes it. Nothing is kept: a device builds its own.

TensorRT-RTX builds without a GPU, so that a build server sees what a device would. It only loads with one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.clock import now_s
from edge_runtime.errors import SessionError
from edge_runtime.inference.tensorrt import Profile, build, library_name
from export.errors import ExportError
from export.run import Run
from export.students import Student

TAKEN = ("fp32", "fp16", "int8-trt")
"""Precisions that TensorRT reads; int8 for CPUs has biases and offsets that it refuses."""
_LARGER = 2
"""Times the usual size is the largest of a dynamic profile; multiples that a network needs stay multiples."""


@dataclass(frozen=True, slots=True)
class Built:
    """One engine that could be built."""

    precision: str
    mb: float
    took_s: float
    by: str


def build_engines(
    student: Student, run: Run, variants: Mapping[str, Path], capabilities: Sequence[str] = ()
) -> Iterator[Built]:
    """Build every variant that is meant for TensorRT, with a dynamic profile where the network's size is free.

    Args:
        student: whose they are.
        run: where inputs come from.
        variants: precision to file.
        capabilities: compute capabilities to build for, e.g. "8.6"; none: the library's default.

    Raises:
        ExportError: TensorRT refuses one of them, or is not installed.
    """
    usual = next(iter(student.held_out(run)))
    profile: Profile = {
        name: (shape, shape, (*shape[:2], *(_LARGER * side for side in shape[2:])))
        for name, shape in ((name, array.shape) for name, array in usual.items())
    }
    for precision in TAKEN:
        if precision not in variants:
            continue
        start_s = now_s()
        try:
            plan = build(variants[precision], profile, capabilities=capabilities)
            by = library_name()
        except SessionError as error:
            raise ExportError(f"{student.name} {precision}: {error}") from error
        yield Built(precision, len(plan) / 1e6, now_s() - start_s, by)
