"""Models: which bundle runs where, on what, how often."""

from typing import Literal

from pydantic import Field

from edge_runtime.config.base import Name, Rate, SizePx, Strict
from edge_runtime.config.scenes import BindingConfig

Backend = Literal["auto", "tensorrt", "cuda", "cpu"]


class ModelConfig(Strict):
    """One model on one input. Models of one worker share a process and a CUDA context."""

    name: Name
    bundle: str = Field(min_length=1, description="folder looked up in --models, EDGE_RUNTIME_MODELS, the repository")
    worker: Name = "main"
    input: str | list[str] = Field(
        [], description="camera.NAME or picture.NAME; several allowed; none: it only generates"
    )
    output: str | None = Field(None, pattern=r"^picture\.[a-z0-9_-]+$")
    size_px: SizePx = (480, 272)
    rate_hz: Rate = 30.0
    threads: int = Field(1, ge=1, le=16)
    precision: str | None = Field(None, description="fp32, fp16 or int8; default: the bundle's first")
    backend: Backend = Field(
        "auto", description="auto: the best that is here; cuda, cpu: ONNX Runtime; tensorrt: warn where there is none"
    )
    rest: Literal["unseen", "never"] = Field(
        "unseen", description="unseen: it rests while no scene on screen uses its picture or its readings"
    )
    stabilise: float = Field(1.0, ge=0, le=1, description="0: every frame on its own; 1: as steady as the task can")
    set: dict[str, float | str] = Field({}, description="parameters held at a fixed value")
    bind: dict[str, BindingConfig] = {}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sources it runs on, in order."""
        return (self.input,) if isinstance(self.input, str) else tuple(self.input)
