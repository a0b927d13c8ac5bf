"""Tasks: what is done round a network so that pictures go in and pictures come out.

A task knows pictures and parameters. It knows no slots, no clock and no other part: the worker feeds it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_runtime.config import ModelConfig
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Bundle
from edge_runtime.inference.session import Session, open_session

FrameBgr = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, blue green red."""


class Task(Protocol):
    """One model at work. Used from one thread: the worker that opened it."""

    session: Session
    parameters: Mapping[str, tuple[float, float]]
    """What signals and commands may drive, with their range."""
    defaults: Mapping[str, float]
    """Every parameter's value where nothing drives it."""

    def run(self, frames: Sequence[FrameBgr], values: Mapping[str, float], out: FrameBgr) -> None:
        """Make one picture.

        Args:
            frames: the newest frame of every input, of any size. Borrowed until the call returns.
            values: every parameter's value.
            out: (H, W, 3) to fill. Its size is the model's size of this moment; it may change between runs.

        Raises:
            SessionError: the network failed on this input. `out` is then undefined; the task stays usable.
        """
        ...

    def reset(self) -> None:
        """Forget earlier frames: the next run starts afresh."""
        ...


def open_task(model: ModelConfig, bundle: Bundle, size_px: tuple[int, int]) -> Task:
    """Load the bundle's network for the task its manifest names, ready to run at `size_px`.

    The caller closes `task.session`.

    Raises:
        BundleError: it has no file of the precision asked for.
        SessionError: it cannot run at this size, or no runtime here can load it.
    """
    manifest = bundle.manifest
    if fault := manifest.size_fault(size_px):
        raise SessionError(f"model {model.name!r}: size_px = {list(size_px)} does not suit {manifest.name!r}: {fault}")
    session = open_session(bundle, precision=model.precision, threads=model.threads)
    match manifest.task:
        case "passthrough":
            from edge_runtime.inference.tasks.passthrough import Passthrough

            return Passthrough(session, manifest)
        case "stylize":
            from edge_runtime.inference.tasks.stylize import Stylize

            return Stylize(session, manifest, stabilise=model.stabilise)
