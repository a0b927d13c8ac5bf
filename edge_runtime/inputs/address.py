"""Addresses of cameras, and the secrets in them.

An address is written as `rtsp://${FOYER_USER}:${FOYER_PASSWORD}@10.0.0.7/stream`. It is expanded at the very moment
a source is opened; whatever is shown to anybody is the text of the config, redacted.
"""

import os
import re
from collections.abc import Mapping

from edge_runtime.config.base import redact
from edge_runtime.errors import InputError

__all__ = ["expand", "redact"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(address: str, environment: Mapping[str, str] | None = None) -> str:
    """Put the environment's values in place of each `${NAME}`.

    Raises:
        InputError: naming the variable that is not set.
    """
    known = os.environ if environment is None else environment

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in known:
            raise InputError(f"{redact(address)}: the environment has no {name}; set it for the runtime's service")
        return known[name]

    return _VARIABLE.sub(value, address)
