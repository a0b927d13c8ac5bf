"""Bindings: how a signal drives a parameter, with hygiene.

Signal -> range -> curve -> parameter's unit -> hysteresis -> smoothing -> rate limit. A stale signal is replaced by
the fallback and goes through the same smoothing, so that a broken sensor never makes the picture jump. Everything
here is pure: time comes in as a step.
"""

import math
from collections.abc import Callable, Mapping

from edge_runtime.config import BindingConfig, DeviceConfig, OneEuroConfig
from edge_runtime.errors import Refused
from edge_runtime.signals import Snapshot, Value

Range = tuple[float, float] | None
"""Of a parameter; None: it is a text."""

_CURVES: dict[str, Callable[[float], float]] = {
    "linear": lambda u: u,
    "smooth": lambda u: u * u * (3.0 - 2.0 * u),
    "square": lambda u: u * u,
    "root": math.sqrt,
}


class OneEuro:
    """One-Euro filter: a low-pass whose cut-off rises with speed. Source: Casiez, Roussel, Vogel, CHI 2012."""

    _SPEED_CUTOFF_HZ = 1.0

    def __init__(self, config: OneEuroConfig) -> None:
        self._config = config
        self._value: float | None = None
        self._speed = 0.0

    def update(self, target: float, step_s: float) -> float:
        """The filtered value after `step_s` seconds of `target`."""
        if self._value is None or step_s <= 0:
            self._value = target if self._value is None else self._value
            return self._value
        speed = (target - self._value) / step_s
        self._speed += self._alpha(self._SPEED_CUTOFF_HZ, step_s) * (speed - self._speed)
        cutoff_hz = self._config.min_cutoff_hz + self._config.beta * abs(self._speed)
        self._value += self._alpha(cutoff_hz, step_s) * (target - self._value)
        return self._value

    @staticmethod
    def _alpha(cutoff_hz: float, step_s: float) -> float:
        return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * step_s))


class Binding:
    """One signal driving one numeric parameter."""

    def __init__(
        self,
        config: BindingConfig,
        *,
        source: tuple[float, float],
        limits: tuple[float, float],
        stale_after_s: float,
        fallback: float,
    ) -> None:
        self.config = config
        self._from, self._to, self._limits = source, config.to or limits, limits
        self._stale_after_s = stale_after_s
        self._fallback = fallback
        self._one_euro = OneEuro(config.one_euro) if config.one_euro else None
        self._aim: float | None = None
        self.value = fallback
        self.stale = True

    @property
    def filters(self) -> list[str]:
        """What keeps the value from following at once, in words."""
        config = self.config
        return [
            *([f"smoothing {config.smooth_s:g} s"] if config.smooth_s else []),
            *([f"One-Euro filter of {config.one_euro.min_cutoff_hz:g} Hz"] if config.one_euro else []),
            *([f"changes below {config.hysteresis:g} ignored"] if config.hysteresis else []),
            *([f"at most {config.rate_limit:g} a second"] if config.rate_limit else []),
        ]

    def map(self, raw: float) -> float:
        """A raw signal value in the parameter's unit, before any filter."""
        low, high = self._from
        share = min(1.0, max(0.0, (raw - low) / (high - low))) if high != low else 0.0
        return self._to[0] + _CURVES[self.config.curve](share) * (self._to[1] - self._to[0])

    def update(self, snapshot: Snapshot, step_s: float) -> float:
        """The parameter's value after `step_s` more seconds, within the parameter's limits whatever the config says."""
        raw = snapshot.number(self.config.signal)
        self.stale = raw is None or snapshot.age_s(self.config.signal) > self._stale_after_s
        aim = self._fallback if self.stale or raw is None else self.map(raw)
        aim = min(self._limits[1], max(self._limits[0], aim))
        if self._aim is None:  # the first frame starts where the signal is, without a swing
            self._aim = self.value = aim
            if self._one_euro:
                self._one_euro.update(aim, 0.0)
            return aim
        if abs(aim - self._aim) >= self.config.hysteresis:
            self._aim = aim
        self.value = self._limit(self._smooth(self._aim, step_s), step_s)
        return self.value

    def _smooth(self, aim: float, step_s: float) -> float:
        if self._one_euro:
            return self._one_euro.update(aim, step_s)
        if self.config.smooth_s <= 0:
            return aim
        return self.value + (1.0 - math.exp(-step_s / self.config.smooth_s)) * (aim - self.value)

    def _limit(self, value: float, step_s: float) -> float:
        if self.config.rate_limit is None:
            return value
        reach = self.config.rate_limit * step_s
        return min(self.value + reach, max(self.value - reach, value))


class TextBinding:
    """One signal shown as words."""

    def __init__(self, config: BindingConfig, *, stale_after_s: float, fallback: str) -> None:
        self.config = config
        self._stale_after_s = stale_after_s
        self._fallback = fallback
        self.stale = True
        self.value = fallback

    def update(self, snapshot: Snapshot, step_s: float) -> str:
        """The words for this frame."""
        value = snapshot.value(self.config.signal)
        self.stale = value is None or snapshot.age_s(self.config.signal) > self._stale_after_s
        self.value = self._fallback if self.stale or value is None else format_value(value, self.config.format)
        return self.value


def format_value(value: Value, template: str | None) -> str:
    """`value` through `template`, e.g. "{:.0f} °C"; plainly where the two do not fit."""
    if template is None:
        return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
    try:
        return template.format(*value) if isinstance(value, tuple) else template.format(value)
    except (ValueError, LookupError, AttributeError, TypeError):
        return str(value)


class Parameters:
    """All parameters of one target: fixed values, bindings and holds. Used from one thread."""

    def __init__(
        self,
        ranges: Mapping[str, Range],
        values: Mapping[str, float | str],
        bindings: Mapping[str, Binding | TextBinding],
    ) -> None:
        self.ranges = ranges
        self._fixed = dict(values)
        self._values = dict(values)
        self._bindings = dict(bindings)
        self._holds: dict[str, tuple[float | str, float]] = {}

    @classmethod
    def build(
        cls,
        ranges: Mapping[str, Range],
        values: Mapping[str, float | str],
        binds: Mapping[str, BindingConfig],
        config: DeviceConfig,
    ) -> "Parameters":
        """Parameters with `values` where nothing drives them, and `binds` resolved against the device's signals."""
        bindings = {name: _open_binding(bind, ranges[name], values[name], config) for name, bind in binds.items()}
        return cls(ranges, values, bindings)

    def update(self, snapshot: Snapshot, step_s: float) -> Mapping[str, float | str]:
        """Every parameter's value now. The mapping is reused by the next call."""
        for name, binding in self._bindings.items():
            self._values[name] = binding.update(snapshot, step_s)
        if self._holds:
            self._release_due(snapshot.now_s)
            for name, (value, _) in self._holds.items():
                self._values[name] = value
        return self._values

    def _release_due(self, now_s: float) -> None:
        for name in [name for name, (_, until_s) in self._holds.items() if now_s >= until_s]:
            self._release(name)

    def _release(self, name: str) -> None:
        if self._holds.pop(name, None) is not None and name not in self._bindings:
            self._values[name] = self._fixed[name]

    def hold(self, name: str, value: float | str | None, until_s: float | None) -> None:
        """Set a parameter by command until `until_s` (monotonic; None: until released). A value of None releases it.

        Raises:
            Refused: no such parameter, a value out of its range or of the wrong type.
        """
        if name not in self.ranges:
            raise Refused(f"no parameter {name!r}; known: {', '.join(sorted(self.ranges))}")
        if value is None:
            self._release(name)
            return
        limits = self.ranges[name]
        if limits is None:
            if not isinstance(value, str):
                raise Refused(f"{name} is a text, not {value!r}")
        elif isinstance(value, str) or not limits[0] <= value <= limits[1]:
            raise Refused(f"{name} = {value!r} is not within {limits[0]:g} to {limits[1]:g}")
        self._holds[name] = (value, math.inf if until_s is None else until_s)

    def why(self, name: str, snapshot: Snapshot) -> dict[str, object]:
        """Where a parameter's value comes from.

        Raises:
            Refused: no such parameter.
        """
        if name not in self.ranges:
            raise Refused(f"no parameter {name!r}; known: {', '.join(sorted(self.ranges))}")
        answer: dict[str, object] = {"value": self._values[name]}
        binding = self._bindings.get(name)
        if name in self._holds:
            value, until_s = self._holds[name]  # a layer that is not drawn has not taken it up yet
            answer |= {
                "value": value,
                "by": "held",
                "left_s": None if math.isinf(until_s) else round(until_s - snapshot.now_s, 1),
            }
        elif binding is None:
            answer["by"] = "fixed"
        else:
            answer["by"] = "fallback" if binding.stale else "signal"
        if binding is not None:
            signal = binding.config.signal
            age_s = snapshot.age_s(signal)
            raw = snapshot.value(signal)
            answer |= {
                "signal": signal,
                "raw": raw,
                "age_s": None if math.isinf(age_s) else round(age_s, 2),
                "stale": binding.stale,
            }
            if isinstance(binding, Binding) and isinstance(raw, float):
                answer["mapped"] = binding.map(raw)
                answer["filters"] = binding.filters
        return answer


def _open_binding(
    bind: BindingConfig, limits: Range, default: float | str, config: DeviceConfig
) -> Binding | TextBinding:
    signal = next((signal for signal in config.signals if signal.name == bind.signal), None)
    stale_after_s = bind.stale_after_s or (signal.stale_after_s if signal else math.inf)
    own = bind.fallback
    if limits is None:
        words = own if own is not None else signal.fallback if signal and isinstance(signal.fallback, str) else default
        return TextBinding(bind, stale_after_s=stale_after_s, fallback=str(words))
    source = bind.from_ or config.signal_range(bind.signal)
    binding = Binding(bind, source=source, limits=limits, stale_after_s=stale_after_s, fallback=0.0)
    if isinstance(own, int | float):
        fallback = float(own)
    elif signal is not None and isinstance(signal.fallback, int | float):
        fallback = binding.map(float(signal.fallback))
    else:
        fallback = float(default) if not isinstance(default, str) else limits[0]
    return Binding(bind, source=source, limits=limits, stale_after_s=stale_after_s, fallback=fallback)
