"""Questions to other parts, each with the moment by which an answer is due."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ANSWER_WITHIN_S = 2.0
WAITING_REQUESTS = 64
Result = Mapping[str, Any]
"""{"ok": bool, "reason"?: str, "result"?: ...}; "silent": True where the part itself said nothing."""
Answer = Callable[[Result], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    part: str
    due_s: float
    answer: Answer


class Requests:
    """What was asked and not answered yet. Every question is answered exactly once: by the part, or by its silence.

    Pure but for `send`, which is handed in: a part's `Part.send`. Used from one thread.
    """

    def __init__(self, send: Callable[..., object]) -> None:
        self._send = send
        self._waiting: dict[int, _Waiting] = {}
        self._last = 0

    def ask(self, to: str, kind: str, answer: Answer, now_s: float, **fields: object) -> None:
        """Ask a part; `answer` is called later with its result, or at once when too many questions are open."""
        if len(self._waiting) >= WAITING_REQUESTS:
            answer({"ok": False, "reason": f"busy: {WAITING_REQUESTS} commands wait for an answer", "silent": True})
            return
        self._last += 1
        self._waiting[self._last] = _Waiting(to, now_s + ANSWER_WITHIN_S, answer)
        self._send(to, kind, request=self._last, **fields)

    def hear(self, request: object, result: object) -> None:
        """Take a reply; one that comes too late or makes no sense is ignored."""
        waiting = self._waiting.pop(request, None) if isinstance(request, int) else None
        if waiting is not None:
            waiting.answer(result if isinstance(result, dict) else {"ok": False, "reason": "the answer makes no sense"})

    def tend(self, now_s: float) -> None:
        """Give up what is overdue."""
        for request in [number for number, waiting in self._waiting.items() if now_s >= waiting.due_s]:
            waiting = self._waiting.pop(request)
            waiting.answer({"ok": False, "reason": f"the {waiting.part} did not answer", "silent": True})
