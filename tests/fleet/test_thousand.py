"""A thousand boxes at one broker with the role's configuration: after a power cut, and when the broker starts again."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edge_runtime.clock import now_s
from tests.control.venue import Venue
from tests.fixtures.children import bound_to_us
from tests.fixtures.waiting import eventually, throughout
from tests.fleet.boxes import box_name
from tests.fleet.broker import BROKER, VenueBroker, inventory
from tests.fleet.tls import Authority

pytestmark = pytest.mark.fleet
BOXES = 1000
PROCESSES = 4
AWAY_S = 5.0
BACK_WITHIN_S = 120.0
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[VenueBroker]:
    names = [box_name(number) for number in range(BOXES)]
    operator = {"name": "anna.operator", "role": "operator"}
    venue = VenueBroker(tmp_path, inventory({"foyer": names}, [operator]))
    venue.pki.mkdir()
    authority = Authority(venue.pki)
    authority.issue(BROKER, server=True)
    for name in [*names, "anna.operator"]:
        authority.issue(name)
    venue.configure()
    with venue.running():
        yield venue


class Fleet:
    """All boxes, shared out among processes."""

    def __init__(self, broker: VenueBroker) -> None:
        share = BOXES // PROCESSES
        argv = [sys.executable, "-m", "tests.fleet.boxes", broker.url, str(broker.pki)]
        self._processes = [
            subprocess.Popen(
                bound_to_us([*argv, str(share * number), str(share)]),
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(PROCESSES)
        ]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def go(self) -> float:
        """Power is back: every box starts. When that was."""
        begun_s = now_s()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return begun_s

    def end(self) -> dict[str, list[float]]:
        """Stop all; when each box tried to connect."""
        attempts: dict[str, list[float]] = {}
        for process in self._processes:
            words, _ = process.communicate(timeout=30.0)
            assert process.returncode == 0
            attempts |= json.loads(words)
        return attempts

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()


@pytest.fixture
def fleet(broker: VenueBroker) -> Iterator[Fleet]:
    boxes = Fleet(broker)
    try:
        yield boxes
    finally:
        boxes.kill()


def wait_for_all(broker: VenueBroker, since_s: float, what: str) -> float:
    """Wait until every box was let in after that moment; seconds until the last one was, and its figures printed."""

    def let_in() -> list[float]:
        first: dict[str, float] = {}
        for at_s, name in broker.connects():
            if at_s >= since_s and name.startswith("box-"):
                first.setdefault(name, at_s)
        return sorted(first.values())

    eventually(lambda: len(let_in()) == BOXES, BACK_WITHIN_S, f"{what}: every box is connected")
    moments = let_in()
    took_s = moments[-1] - since_s
    busiest = max(Counter(int(at_s - since_s) for at_s in moments).values())
    half_s = moments[BOXES // 2] - since_s
    print(f"{what}: half of {BOXES} in {half_s:.1f} s, all in {took_s:.1f} s, at most {busiest} in a second")
    return took_s


def online(operator: Venue) -> set[str]:
    """The topics of all boxes that say so."""
    told = {heard.topic: heard.payload for heard in list(operator.heard) if heard.topic.endswith("/availability")}
    return {topic for topic, payload in told.items() if payload["state"] == "online"}


@pytest.mark.timeout(240)
def test_a_thousand_boxes_come_back_by_themselves_and_none_of_them_hammers(broker: VenueBroker, fleet: Fleet) -> None:
    assert wait_for_all(broker, fleet.go(), "boot storm") <= BACK_WITHIN_S
    throughout(lambda: len(broker.connects()) == BOXES, 2.0, "nobody is thrown out again")
    stopped_s = now_s()
    broker.stop()
    broker.start()
    assert wait_for_all(broker, stopped_s, "broker restart") <= BACK_WITHIN_S
    broker.stop()
    throughout(lambda: len(broker.connects()) == 2 * BOXES, AWAY_S, "nobody lets them in")
    assert wait_for_all(broker, broker.start(), f"broker away for {AWAY_S:g} s") <= BACK_WITHIN_S
    with Venue(broker.link("anna.operator")) as operator:
        eventually(lambda: len(online(operator)) == BOXES, 20.0, "the operator hears of every box that it is there")
    attempts = fleet.end()
    gaps_s = [after - before for moments in attempts.values() for before, after in pairwise(moments)]
    print(f"attempts: {sum(map(len, attempts.values()))} for 3 x {BOXES} connects, {min(gaps_s):.2f} s apart at least")
    assert len(attempts) == BOXES
    assert min(gaps_s) >= 1.0, "no box asks for more than one connect a second"
