"""Is the show well? Judged by what it counts itself over a stretch of time, against limits and the release before.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_runtime.release.policy import GateLimits

_RANK = ("CPUExecutionProvider", "CUDAExecutionProvider", "TensorRT")
_WORSE = 2.0
"""A share of missed frames this many times that of the release before is its fault."""
_CHANCE = 5
"""So few missed frames prove nothing, in however short a time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Two statistics objects of one show: DESIGN's, as `ControlSocket` answers `status`."""

    first: Mapping[str, Any]
    last: Mapping[str, Any]

    def counted(self, what: str) -> int:
        """How many frames were `due`, `presented` or `missed` in between."""
        return int(self.last["frames"].get(what, 0)) - int(self.first["frames"].get(what, 0))

    @property
    def missed_share(self) -> float:
        """Of the frames that were due."""
        return self.counted("missed") / max(1, self.counted("due"))


def judge(watched: Stretch, before: Stretch | None, limits: GateLimits) -> str | None:
    """What is wrong with a show; None where it is well.

    Args:
        watched: of the show in question, at work from the first object to the last.
        before: of the release before it on this box; None where there is none to compare with.
        limits: see `GateLimits`.
    """
    if watched.counted("presented") <= 0:
        return "presents no pictures"
    allowed = max(limits.missed_share, _WORSE * before.missed_share if before else 0.0)
    if watched.missed_share > allowed and watched.counted("missed") > _CHANCE:
        share = f"{100 * watched.missed_share:.1f} % of {watched.counted('due')} frames"
        return f"misses {share}; {100 * allowed:.1f} % are allowed"
    return _part_fault(watched) or _model_fault(watched.last, before.last if before else None)


def _part_fault(watched: Stretch) -> str | None:
    for name, part in watched.last["parts"].items():
        restarts = part["restarts"] - watched.first["parts"].get(name, part)["restarts"]
        if restarts:
            return f"{name} ended {restarts} times"
        if part["state"] != "up":
            return f"{name} is {part['state']}"
    return None


def _model_fault(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> str | None:
    for name, model in (before["models"] if before else {}).items():
        successor = now["models"].get(name)
        if not model.get("runs") or successor is None:
            continue  # at rest then, or no longer in the config
        if not successor.get("runs"):
            return f"model {name} does not run"
        if _rank(successor) < min(_rank(model), _RANK.index("CUDAExecutionProvider")):
            return f"model {name} runs on {successor['provider']}; it ran on {model['provider']}"
    return None


def _rank(model: Mapping[str, Any]) -> int:
    """Engines may take minutes to build, so that CUDA is no downgrade from TensorRT yet."""
    provider = model.get("provider")
    return _RANK.index(provider) if provider in _RANK else 0
