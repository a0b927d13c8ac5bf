"""`edge-runtime metrics`: a box scraped over HTTP, while its show runs, hangs and is down."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime import __version__
from edge_runtime.__main__ import main
from edge_runtime.clock import now_s
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.exporter import OPENMETRICS, Exporter, with_card, with_releases
from tests.fixtures.waiting import eventually


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevice]:
    folder = tmp_path_factory.mktemp("metrics")
    with RunningDevice(crew(), folder, environment=with_card(folder / "bin")) as running:
        running.wait_up()
        yield running


@pytest.fixture
def exporter(device: RunningDevice, tmp_path: Path) -> Iterator[Exporter]:
    environment = {"RUNTIME_DIRECTORY": str(device.runtime_folder)}
    root = with_releases(tmp_path / "opt")
    with Exporter(tmp_path, "--root", root, "--certificates", tmp_path, environment=environment) as running:
        yield running


def test_a_scrape_tells_what_the_box_tells(device: RunningDevice, exporter: Exporter) -> None:
    def presented() -> float:
        return exporter.value("frames_presented_total")

    eventually(lambda: "frames_presented" in exporter.scrape() and presented() > 60, 10.0, "frames are counted")
    before = device.status()
    eventually(lambda: presented() >= before["frames"]["presented"], 5.0, "it has asked since: it asks once a second")
    told = exporter.scrape()
    after = device.status()
    assert exporter.value("up") == 1.0
    assert told["device_info"].samples[0].labels == {"device": "crew", "version": __version__}
    frames = [status["frames"] for status in (before, after)]
    assert presented() <= device.status()["frames"]["presented"]
    missed = sum(sample.value for sample in told["frames_missed"].samples)
    assert frames[0]["missed"] <= missed <= frames[1]["missed"]
    median_s = exporter.value("frame_interval_seconds", quantile="0.5")
    assert median_s == pytest.approx(1 / 60, abs=2e-3)
    for part in device.ps():
        assert exporter.value("part_state", part=part, state="up") == 1.0
        assert exporter.value("part_restarts_total", part=part) == after["parts"][part]["restarts"]
    model = {"model": "echo", "bundle": "null 1.0.0", "backend": "auto", "provider": "null", "engine": ""}
    assert told["model_info"].samples[0].labels == model
    assert exporter.value("model_runs_total", model="echo") >= before["models"]["echo"]["runs"]
    assert exporter.value("camera_frames_total", camera="main") >= before["cameras"]["main"]["frames"]
    assert exporter.value("signal_stale", signal="weather.rain") == 1.0
    assert exporter.value("start_first_picture_seconds") == after["start"]["first_picture_s"]
    eventually(lambda: "temperature_celsius" in exporter.scrape(), 5.0, "the card is told")
    assert exporter.value("temperature_celsius") >= 71.0
    assert exporter.value("vram_free_bytes") == 2 * 1024**3


def test_releases_that_run_were_proven_or_were_rolled_back_are_told(exporter: Exporter) -> None:
    assert exporter.value("release_info", track="runtime", link="current", release="1.1.0") == 1.0
    assert exporter.value("release_info", track="models", link="proven", release="7") == 1.0
    rejected_s = exporter.value("release_rejected_timestamp_seconds", track="runtime", release="1.2.0")
    assert rejected_s == 1_790_000_000


def test_a_word_of_a_visitor_is_not_told(device: RunningDevice, exporter: Exporter) -> None:
    assert device.send("prompt", text="a very private wish").ok
    eventually(lambda: device.status()["signals"]["prompt.text"]["value"], 5.0, "the show has the words")
    eventually(lambda: exporter.value("signal_stale", signal="prompt.text") == 0.0, 5.0, "the exporter has seen it")
    assert "private" not in exporter.text()


def test_many_scrapes_at_once_are_one_question_a_second(exporter: Exporter) -> None:
    begun_s = now_s()
    bodies = [exporter.text(OPENMETRICS) for _ in range(40)]
    took_s = now_s() - begun_s
    assert len(set(bodies)) <= 1 + took_s


def test_a_stuck_show_is_told_within_the_time_of_a_scrape_and_so_is_its_return(
    device: RunningDevice, exporter: Exporter
) -> None:
    os.kill(device.process.pid, signal.SIGSTOP)
    try:
        begun_s = now_s()
        eventually(lambda: exporter.value("up") == 0.0, 9.0, "it is told as down")
        assert now_s() - begun_s < 5.0
        assert "frames_presented" not in exporter.scrape()
        assert "release_info" in exporter.text()
    finally:
        os.kill(device.process.pid, signal.SIGCONT)
    eventually(lambda: exporter.value("up") == 1.0, 5.0, "it is told as up")
    first, *others = exporter.said.read_text().splitlines()
    assert first.startswith("edge-runtime: metrics: ")
    assert "no answer within 2 s" in first
    assert others == ["edge-runtime: metrics: the show answers"]


def test_a_client_that_connects_and_is_silent_keeps_nobody_waiting_for_long(exporter: Exporter) -> None:
    host, port = exporter.url.removeprefix("http://").removesuffix("/metrics").split(":")
    with socket.create_connection((host, int(port))):
        assert "edge_runtime_up" in exporter.text(within_s=8.0)


def test_without_a_show_the_box_is_scraped_all_the_same(tmp_path: Path) -> None:
    with Exporter(tmp_path, environment={"RUNTIME_DIRECTORY": str(tmp_path / "nobody" / "x")}) as exporter:
        assert {name for name in exporter.scrape() if "release" not in name} == {"up"}
        assert exporter.value("up") == 0.0


@pytest.mark.parametrize(
    "address", ["9469", ":9469", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:70000", "203.0.113.7:9469"]
)
def test_an_address_that_cannot_be_had_is_one_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "--listen", address]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"edge-runtime: --listen {address}: ")
