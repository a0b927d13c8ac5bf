"""What a box lets in: /etc/edge-runtime/release.toml. Without that file nothing is let in."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from edge_runtime.errors import ReleaseError

Platform = Literal["cpu", "gpu", "jetson"]
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How a new release is judged, and what it may not do worse. See `health.judge`."""

    rehearse_s: float = 2.0
    """How long it plays where nobody sees it."""
    rehearse_within_s: float = 45.0
    """How long that may take with all its loading, at low priority on a busy box."""
    watch_s: float = 20.0
    """How long the show is watched before the release is kept."""
    first_picture_s: float = 2.5
    """At most, or twice what the rehearsal took: as long as the way back fits into `dark_s`."""
    dark_s: float = 5.0
    """How long the picture may be gone at most, there and back."""
    missed_share: float = 0.01
    """Of the frames that were due, or twice what the release before misses."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which releases a box takes."""

    require_signed: bool = True
    trusted_keys: tuple[bytes, ...] = ()
    """Ed25519 public keys, 32 bytes each."""
    allow_downgrade: bool = False
    platform: Platform | None = None
    """Which requirements; None: what the machine is."""
    gate: GateLimits = field(default_factory=GateLimits)

    @property
    def keys(self) -> tuple[bytes, ...] | None:
        """Whose signature a release needs; None: nobody's."""
        return self.trusted_keys if self.require_signed else None


def load_policy(path: Path) -> Policy:
    """Read the policy of this box.

    Raises:
        ReleaseError: it is missing, cannot be read, or says something that no policy says.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReleaseError(
            f"{path}: is missing, so nothing is let in; write it: trusted_keys = [KEY that release build printed]"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReleaseError(f"{path}: cannot be read: {error}") from error
    gate = _known(tree.pop("gate", {}), GateLimits, path, "gate.")
    for key, value in gate.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 60:
            raise ReleaseError(f"{path}: gate.{key} = {value!r}: expected a number from 0 to 60")
    known = _known(tree, Policy, path, "")
    for key in ("require_signed", "allow_downgrade"):
        if not isinstance(known.get(key, True), bool):
            raise ReleaseError(f"{path}: {key} = {known[key]!r}: expected true or false")
    if known.get("platform", "cpu") not in get_args(Platform):
        raise ReleaseError(f"{path}: platform = {known['platform']!r}: expected {', '.join(get_args(Platform))}")
    keys = known.pop("trusted_keys", [])
    if not isinstance(keys, list):
        raise ReleaseError(f"{path}: trusted_keys = {keys!r}: expected a list")
    policy = Policy(**known, trusted_keys=tuple(_key(key, path) for key in keys), gate=GateLimits(**gate))
    if policy.require_signed and not policy.trusted_keys:
        raise ReleaseError(f"{path}: require_signed needs trusted_keys = [KEY that release build printed]")
    return policy


def _known(tree: Any, kind: type, path: Path, prefix: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise ReleaseError(f"{path}: {prefix.strip('.')} = {tree!r}: expected a table")
    names = [field.name for field in fields(kind)]
    for key in tree:
        if key not in names:
            raise ReleaseError(f"{path}: {prefix}{key} is no key of a policy; known: {', '.join(names)}")
    return dict(tree)


def _key(text: Any, path: Path) -> bytes:
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ReleaseError(f"{path}: trusted_keys has {str(text)[:70]!r}; expected 64 hexadecimal digits")
    return key
