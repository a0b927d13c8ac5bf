from typing import Any

from edge_runtime.control.holds import Hold, Holds
from edge_runtime.control.requests import ANSWER_WITHIN_S, WAITING_REQUESTS, Requests, Result


class Line:
    """Where requests are sent and what was answered."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.answers: list[Result] = []
        self.requests = Requests(lambda to, kind, **fields: self.sent.append({"to": to, "type": kind, **fields}))


def test_every_question_is_answered_exactly_once() -> None:
    line = Line()
    line.requests.ask("show", "apply", line.answers.append, 0.0, command="blackout")
    assert line.sent == [{"to": "show", "type": "apply", "request": 1, "command": "blackout"}]
    line.requests.hear(1, {"ok": True})
    line.requests.hear(1, {"ok": False})
    line.requests.tend(100.0)
    assert line.answers == [{"ok": True}]


def test_silence_is_an_answer_after_two_seconds() -> None:
    line = Line()
    line.requests.ask("show", "expose", line.answers.append, 10.0)
    line.requests.tend(10.0 + ANSWER_WITHIN_S - 0.01)
    assert not line.answers
    line.requests.tend(10.0 + ANSWER_WITHIN_S)
    assert line.answers == [{"ok": False, "reason": "the show did not answer", "silent": True}]
    line.requests.hear(1, {"ok": True})
    assert len(line.answers) == 1


def test_answers_to_nobody_and_nonsense_harm_nothing() -> None:
    line = Line()
    line.requests.ask("show", "apply", line.answers.append, 0.0)
    for request in (7, None, "1", [1]):
        line.requests.hear(request, {"ok": True})
    assert not line.answers
    line.requests.hear(1, "yes")
    assert line.answers[0]["ok"] is False


def test_open_questions_are_bounded() -> None:
    line = Line()
    for _ in range(WAITING_REQUESTS + 5):
        line.requests.ask("show", "apply", line.answers.append, 0.0)
    assert len(line.sent) == WAITING_REQUESTS
    assert [answer["reason"][:4] for answer in line.answers] == ["busy"] * 5


def test_holds_last_as_long_as_they_were_told() -> None:
    holds = Holds()
    assert holds.put("a/b.c", 1.0, None, 0.0) is None
    assert holds.put("a/b.d", 2.0, 5.0, 10.0) == 15.0
    assert holds.current(14.9) == {"a/b.c": Hold(1.0), "a/b.d": Hold(2.0, 15.0)}
    assert holds.current(15.0) == {"a/b.c": Hold(1.0)}
    holds.put("a/b.c", None, None, 20.0)
    assert holds.current(20.0) == {}
