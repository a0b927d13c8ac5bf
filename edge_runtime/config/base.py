"""What all sections share: strictness and the types that several of them use."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A section: frozen, and a key that nobody reads is an error, because it is a typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
SignalName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
Rate = Annotated[float, Field(gt=0, le=240)]
Side = Annotated[int, Field(ge=1, le=16384)]
Channel = Annotated[int, Field(ge=0, le=255)]
SizePx = Annotated[tuple[Side, Side], Field(description="width and height in pixels")]
Rgb = Annotated[tuple[Channel, Channel, Channel], Field(description="red, green, blue, 0-255")]
Unit = Annotated[float, Field(ge=0, le=1)]

# Up to the last @ before a blank or a quote: a password may contain / ? and @ where somebody forgot to escape them.
_USER = re.compile(r"://[^\s'\"]*@")
_QUERY = re.compile(r"([?&;][\w.\-\[\]%]+=)[^&;\s'\"]*")
_HIDDEN = "***"


def redact(text: str) -> str:
    """Hide user, password and every query value of the addresses in `text`."""
    return _QUERY.sub(rf"\1{_HIDDEN}", _USER.sub(f"://{_HIDDEN}@", text))
