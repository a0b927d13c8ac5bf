"""What all sections share: strictness and the types that several of them use."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A section: frozen, and a key that nobody reads is an error, because it is a typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
SignalName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
Rate = Annotated[float, Field(gt=0, le=240)]
SizePx = Annotated[tuple[int, int], Field(description="width and height in pixels")]
Rgb = Annotated[tuple[int, int, int], Field(description="red, green, blue, 0-255")]
Unit = Annotated[float, Field(ge=0, le=1)]
