"""What the bench found: lines that a person reads, figures that a machine reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_HEAD = ("row", "measured", "bar", "here", "holds")


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement beside its bar."""

    what: str
    bar: str
    measured: str
    holds: bool | None = None
    """None: told for comparison, there is no bar."""


@dataclass(slots=True)
class Outcome:
    """One row of the budgets as measured on this machine."""

    row: str
    lines: list[Line] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    """Why it could not be measured here: something is not installed."""

    def judge(self, what: str, *, bar: str, measured: str, holds: bool) -> None:
        """Add a line with a bar."""
        self.lines.append(Line(what, bar, measured, holds))

    def tell(self, what: str, measured: str) -> None:
        """Add a line for comparison."""
        self.lines.append(Line(what, "", measured))

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        lines = [{"what": x.what, "bar": x.bar, "measured": x.measured, "holds": x.holds} for x in self.lines]
        return {"skipped": self.skipped, "lines": lines, **self.figures}


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Count, p50, p95, p99, p99.9 and the extremes of `values`; all but the count None where there are none.

    A percentile is the smallest value that so many do not exceed, as in the statistics of `run`.
    """
    ordered = sorted(values)
    found: dict[str, float | None] = {"count": len(ordered), "min": ordered[0] if ordered else None}
    for name, percent in (("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)):
        rank = max(1, math.ceil(len(ordered) * percent / 100.0 - 1e-9))
        found[name] = round(ordered[rank - 1], 3) if ordered else None
    return found


def at_most(value: float | None, bar: float) -> bool:
    """Whether something was measured and stays within its bar."""
    return value is not None and value <= bar


def ms(value: float | None) -> str:
    """A duration in milliseconds for the table."""
    return "nothing seen" if value is None else f"{value:.2f} ms" if value < 100.0 else f"{value:.0f} ms"


def render(outcomes: Sequence[Outcome]) -> str:
    """The table, and one line that says what it comes to."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for outcome in outcomes:
        if outcome.skipped is not None:
            rows.append((outcome.row, f"not measured: {outcome.skipped}", "", "", "-"))
        for line in outcome.lines:
            holds = "-" if line.holds is None else "yes" if line.holds else "NO"
            rows.append((outcome.row, line.what, line.bar, line.measured, holds))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    judged = [line.holds for outcome in outcomes for line in outcome.lines if line.holds is not None]
    broken = [outcome.row for outcome in outcomes if any(line.holds is False for line in outcome.lines)]
    verdict = f"{sum(judged)} of {len(judged)} bars hold on this machine"
    return "\n".join([*text, "", verdict + (f"; not those of: {', '.join(broken)}" if broken else "")])
