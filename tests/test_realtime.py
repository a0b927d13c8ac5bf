"""Real-time scheduling, granted or refused."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_runtime import realtime
from edge_runtime.realtime import is_realtime, raise_priority, raise_x_server, realtime_permitted, x_server

ROOT = Path(__file__).parents[1]

needs_realtime = pytest.mark.realtime


def granted() -> None:
    if not realtime_permitted()[0]:
        pytest.skip(f"SCHED_FIFO is refused here: {realtime_permitted()[1]}")


@needs_realtime
def test_the_thread_that_asks_is_raised_and_no_other() -> None:
    granted()
    seen: list[bool] = []

    def ask() -> None:
        seen.extend([is_realtime(), raise_priority(12), is_realtime(), os.sched_getparam(0).sched_priority == 12])

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [False, True, True, True]
    assert not is_realtime()


@needs_realtime
def test_children_of_a_raised_process_start_normal() -> None:
    granted()
    code = (
        "import os, subprocess, sys; from edge_runtime.realtime import *; assert raise_priority();"
        "print(subprocess.run([sys.executable, '-c', 'import os; print(os.sched_getscheduler(0))'],"
        " capture_output=True, text=True).stdout.strip(), is_realtime())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.split() == [str(os.SCHED_OTHER), "True"]


def test_the_trial_leaves_the_process_as_it_was_and_has_a_reason() -> None:
    before = os.sched_getscheduler(0)
    permitted, reason = realtime_permitted()
    assert os.sched_getscheduler(0) == before
    assert isinstance(permitted, bool)
    assert reason


def test_a_refusal_names_the_remedy() -> None:
    code = (
        "import os, resource; from edge_runtime.realtime import *;"
        "resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0));"
        "os.getuid() or (os.setgid(65534), os.setuid(65534));"
        "print(raise_priority(), *realtime_permitted())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert answer.stdout.startswith("False False RLIMIT_RTPRIO is 0, 10 is needed")


@pytest.mark.display
def test_the_x_server_is_found_and_raised(xvfb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", f"{xvfb}.0")
    server = x_server()
    assert server is not None
    assert (server.name, server.policy, server.priority) == ("Xvfb", "other", 0)
    if realtime_permitted()[0]:
        assert raise_x_server()
        raised = x_server()
        assert raised is not None
        assert (raised.policy, raised.priority) == ("fifo", realtime.X_SERVER_PRIORITY)


@pytest.mark.parametrize("display", ["", ":4711", "elsewhere:0", "nonsense"])
def test_without_a_local_x_server_there_is_nothing_to_raise(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display)
    assert x_server() is None
    assert not raise_x_server()
