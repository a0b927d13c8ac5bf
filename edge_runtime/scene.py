"""Scenes: a stack of layers on one canvas, and the fade from one scene to the next."""
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_runtime.clock import Timeline

Canvas = npt.NDArray[np.uint8]
"""(H, W, 4) uint8, blue green red and one unused byte: the layout of the screen's own memory."""
Values = Mapping[str, float | str]
"""A layer's parameters for one frame, after bindings, smoothing and holds."""


class Layer(Protocol):
    """One visual. Draws on top of what is there; used from the show's one thread."""

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        """Draw one frame in place. `values` holds every name of the config class's `PARAMETERS`.

        The canvas may change its size from one frame to the next: never keep it.
        """
        ...
