"""Loads the fixtures, and turns skipped tests into a failure where everything they need can be installed."""

import os

import pytest

pytest_plugins = [
    "tests.fixtures.ports",
    "tests.fixtures.broker",
    "tests.fixtures.screen",
    "tests.fixtures.mjpeg",
    "tests.fixtures.rtsp",
]

HARDWARE = ("camera", "gpu")
"""Markers of tests that may be skipped even under EDGE_NO_SKIPS=1: no package brings what they need."""

_on_hardware = pytest.StashKey[set[str]]()
_forbidden_skips = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_on_hardware] = set()
    config.stash[_forbidden_skips] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(name) for name in HARDWARE):
            config.stash[_on_hardware].add(item.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("EDGE_NO_SKIPS", "0") in {"", "0"}:
        return
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    allowed = config.stash[_on_hardware]
    skipped = {report.nodeid for report in reporter.stats.get("skipped", [])} if reporter else set()
    forbidden = sorted(skipped - allowed)
    config.stash[_forbidden_skips] = forbidden
    if forbidden and session.exitstatus in {
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    }:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    names = config.stash[_forbidden_skips]
    if names:
        terminalreporter.section(f"EDGE_NO_SKIPS: {len(names)} skipped, which fails this run", red=True)
        for name in names:
            terminalreporter.line(name, red=True)
