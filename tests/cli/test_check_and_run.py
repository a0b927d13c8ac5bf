"""`check` and `run`: what is wrong is one clear line and exit code 2, before anything is started."""

import json
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.cli import local
from edge_runtime.cli.run import only_one
from tests.fixtures.bundles import write_copying
from tests.fixtures.device import REPOSITORY, crew

FAULTS = {
    "a typo": ("rate_hz = 60", "rate_hs = 60", ["rate_hs", "did you mean 'rate_hz'?"]),
    "a wrong type": ("[640, 360]", '"large"', ["display.canvas_px", "'large'"]),
    "out of range": ("rate_hz = 60", "rate_hz = 6000", [": rate_hz = 6000", "240"]),
    "neither a rate nor a word": ("rate_hz = 60", 'rate_hz = "fast"', [": rate_hz = 'fast'"]),
    "a key of a layer": ('kind = "fill"', 'kind = "text"\ntext = 5', ["scenes[1].layers[0].text = 5"]),
    "an unknown signal": ('signal = "weather.rain"', 'signal = "wheather.rain"', ["wheather.rain", "weather.rain"]),
    "an unknown source": ('source = "picture.echo"', 'source = "picture.eco"', ["picture.eco", "picture.echo"]),
    "not TOML": ("rate_hz = 60", "rate_hz = ", ["not TOML", "line 2"]),
    "a missing model": (
        'bundle = "null"',
        'bundle = "nul"',
        ["model 'echo'", "no bundle 'nul'", "known: backdrop, enlarge, face"],
    ),
    "a size that does not suit": ("size_px = [320, 180]\n\n[[scenes]]", "size_px = [8, 8]\n\n[[scenes]]", ["[8, 8]"]),
    "a missing recording": ("[display]", '[replay]\nfile = "gone.jsonl"\n[display]', ["gone.jsonl", "no such file"]),
}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_nothing_is_started(
    folders: Path, capsys: pytest.CaptureFixture[str], command: str, fault: str
) -> None:
    old, new, words = FAULTS[fault]
    assert old in crew()
    path = folders / "device.toml"
    path.write_text(crew().replace(old, new, 1))
    assert main([command, str(path)]) == 2
    line = only_line(capsys)
    assert all(word in line for word in [str(path), *words]), line
    assert not (folders / "run").exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bundle_that_was_altered_is_refused(folders: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    bundle = write_copying(folders)
    (bundle / "model.onnx").write_bytes(b"something else")
    path = folders / "device.toml"
    path.write_text(crew().replace('bundle = "null"', f"bundle = {json.dumps(f'{bundle}/')}"))
    assert main([command, str(path)]) == 2
    line = only_line(capsys)
    assert "model.onnx: sha256" in line
    assert "copy the bundle again" in line
    assert not (folders / "run").exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "gone/device.toml"]) == 2
    assert "gone/device.toml: no such file" in only_line(capsys)


def test_check_says_ok_for_all_that_we_ship(capsys: pytest.CaptureFixture[str]) -> None:
    configs = sorted(str(path) for path in (REPOSITORY / "device_configs").glob("*.toml"))
    assert main(["check", *configs]) == 0
    assert capsys.readouterr().out.count("ok: ") == len(configs)


def test_check_goes_on_after_a_fault(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "bad.toml").write_text("device_id = 3\n")
    (folders / "good.toml").write_text(crew())
    assert main(["check", str(folders / "bad.toml"), str(folders / "good.toml")]) == 2
    captured = capsys.readouterr()
    assert "bad.toml" in captured.err
    assert "ok: " in captured.out


@pytest.mark.parametrize("option", ["--stats", "--trace"])
def test_a_file_that_cannot_be_written_is_told_before_the_run(
    folders: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    (folders / "device.toml").write_text(crew())
    assert main(["run", str(folders / "device.toml"), option, str(folders / "nowhere" / "file")]) == 2
    assert "nowhere/file: cannot be written" in only_line(capsys)


def test_a_runtime_folder_whose_path_is_too_long_for_a_socket_is_told(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "device.toml").write_text(crew())
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folders / ("long" * 30)))
    assert main(["run", str(folders / "device.toml"), "--headless"]) == 2
    assert "set RUNTIME_DIRECTORY to a shorter, writable folder" in only_line(capsys)


def test_a_refused_second_run_leaves_the_files_of_the_first_alone(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, trace = folders / "device.toml", folders / "frames.csv"
    config.write_text(crew())
    trace.write_text("rows of the first\n")
    (folders / "run").mkdir()
    with only_one(folders / "run", "crew"):
        assert main(["run", str(config), "--headless", "--trace", str(trace)]) == 2
    assert "runs already" in only_line(capsys)
    assert trace.read_text() == "rows of the first\n"


@pytest.mark.parametrize("trap", ["a link", "open to others", "a file"])
@pytest.mark.parametrize("level", ["", "edge-runtime"])
def test_a_folder_in_tmp_that_somebody_prepared_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trap: str, level: str
) -> None:
    monkeypatch.setattr(local, "SHARED", tmp_path)
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    config = tmp_path / "device.toml"
    config.write_text(crew())
    prepared = local.own_shared_folder() / level
    prepared.parent.mkdir(exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    match trap:
        case "a link":
            prepared.symlink_to(elsewhere)
        case "a file":
            prepared.touch()
        case _:
            prepared.mkdir()
            prepared.chmod(0o777)
    assert main(["run", str(config), "--headless", "--seconds", "1"]) == 2
    assert f"{prepared}: " in only_line(capsys)
    assert not list(elsewhere.iterdir())
