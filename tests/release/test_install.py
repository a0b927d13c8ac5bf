"""What gets onto a box, and what never does. Releases of models, on their hashes: no show, so no waiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.errors import ReleaseError
from edge_runtime.release.archive import Track
from edge_runtime.release.install import Installer
from edge_runtime.release.shelf import LINKS, Shelf, locked
from tests.fixtures.releases import Desk, bare_box

MODELS: Track = "models"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


@pytest.fixture
def box(desk: Desk, tmp_path: Path) -> Installer:
    return bare_box(tmp_path / "box", desk.policy())


@pytest.fixture
def shelf(box: Installer) -> Shelf:
    return Shelf(box.root, MODELS)


def links(shelf: Shelf) -> dict[str, str | None]:
    return {link: release.name if (release := shelf.linked(link)) else None for link in LINKS}


def test_a_release_is_kept_and_the_one_before_it_stays_for_a_rollback(box: Installer, shelf: Shelf, desk: Desk) -> None:
    for version in ("1.0", "1.1", "1.2"):
        outcome = box.install(desk.build(version))
        assert (outcome.version, outcome.changed) == (version, True)
    assert links(shelf) == {"current": "1.2", "proven": "1.2", "previous": "1.1"}
    assert [path.name for path in shelf.all()] == ["1.1", "1.2"]
    assert (shelf.folder / "current/tiny/manifest.toml").read_text() == "# 1.2\n"


def test_the_same_release_again_changes_nothing(box: Installer, shelf: Shelf, desk: Desk) -> None:
    path = desk.build("1.0")
    box.install(path)
    made = shelf.releases.stat().st_mtime_ns
    assert not box.install(path).changed
    assert shelf.releases.stat().st_mtime_ns == made


def test_a_release_that_was_damaged_on_the_box_is_unpacked_again(box: Installer, shelf: Shelf, desk: Desk) -> None:
    path = desk.build("1.0")
    box.install(path)
    (shelf.folder / "current/tiny/manifest.toml").write_text("# worn out\n")
    assert box.install(path).changed
    assert (shelf.folder / "current/tiny/manifest.toml").read_text() == "# 1.0\n"


def test_what_policy_forbids_never_replaces_what_runs(box: Installer, shelf: Shelf, desk: Desk, tmp_path: Path) -> None:
    box.install(desk.build("1.5"))
    tampered = desk.folder / "tampered.tar"
    tampered.write_bytes(desk.build("1.6").read_bytes().replace(b"# 1.6", b"# 6.6"))
    refused = {
        desk.build("1.4"): "1.4 is older than 1.5, which runs here, and policy allows no downgrade",
        desk.build("1.6", signed=False): "is not signed and this box requires it",
        Desk(tmp_path / "other").build("1.6"): "fits none of the 1 trusted_keys",
        tampered: "was altered: its sha256 is not the one that was signed",
        desk.build("1.5", other="another text"): "is here already with other contents",
    }
    for path, words in refused.items():
        with pytest.raises(ReleaseError) as raised:
            box.install(path)
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)
        assert links(shelf) == {"current": "1.5", "proven": "1.5", "previous": None}
        assert [left.name for left in shelf.releases.iterdir()] == ["1.5"]


def test_policy_may_allow_a_downgrade(desk: Desk, tmp_path: Path) -> None:
    box = bare_box(tmp_path / "box", desk.policy(allow_downgrade=True))
    box.install(desk.build("1.5"))
    assert box.install(desk.build("1.4")).changed


def test_a_rollback_goes_back_and_what_it_left_does_not_come_again_by_itself(
    box: Installer, shelf: Shelf, desk: Desk
) -> None:
    box.install(desk.build("1.0"))
    box.install(desk.build("1.1"))
    assert box.rollback(MODELS).version == "1.0"
    assert links(shelf) == {"current": "1.0", "proven": "1.0", "previous": None}
    with pytest.raises(ReleaseError, match="was rejected here before: it was rolled back by hand; --again"):
        box.install(desk.build("1.1"))
    assert box.install(desk.build("1.1"), again=True).changed
    assert shelf.rejected() == {}


def test_there_is_no_rollback_without_a_release_before(box: Installer, desk: Desk) -> None:
    with pytest.raises(ReleaseError, match="keeps no release from before the present one"):
        box.rollback(MODELS)
    box.install(desk.build("1.0"))
    with pytest.raises(ReleaseError, match="keeps no release from before the present one"):
        box.rollback(MODELS)


def test_a_rollback_to_a_damaged_release_is_refused(box: Installer, shelf: Shelf, desk: Desk) -> None:
    box.install(desk.build("1.0"))
    box.install(desk.build("1.1"))
    (shelf.releases / "1.0/tiny/manifest.toml").unlink()
    with pytest.raises(ReleaseError, match="install a release instead"):
        box.rollback(MODELS)
    assert links(shelf)["current"] == "1.1"


def test_a_trial_that_was_cut_short_is_undone(box: Installer, shelf: Shelf, desk: Desk) -> None:
    box.install(desk.build("1.0"))
    box.install(desk.build("1.1"))
    shelf.link("proven", shelf.releases / "1.0")  # as a trial of 1.1 leaves it that is killed
    (shelf.folder / "previous").unlink()
    assert box.settle() == [shelf.releases.resolve() / "1.1"]
    assert links(shelf)["current"] == "1.0"
    assert box.settle() == []
    assert shelf.rejected() == {"1.1": "was on trial when the trial was cut short"}
    assert box.install(desk.build("1.2")).changed


def test_a_switch_that_was_cut_short_is_completed_and_nobody_is_to_blame(
    box: Installer, shelf: Shelf, desk: Desk
) -> None:
    box.install(desk.build("1.0"))
    box.install(desk.build("1.1"))
    shelf.link("current", shelf.releases / "1.0")  # killed between the two links
    assert box.install(desk.build("1.2")).changed
    assert shelf.rejected() == {}


def test_two_installs_at_once_take_turns_by_refusal(box: Installer, desk: Desk) -> None:
    with locked(box.root), pytest.raises(ReleaseError, match="another `edge-runtime release` is at work"):
        box.install(desk.build("1.0"))
    assert box.install(desk.build("1.0")).changed


def test_the_command_says_what_it_did_and_ends_with_2_where_it_refused(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = desk.write_policy(tmp_path / "release.toml")
    places = ["--root", str(tmp_path / "box"), "--policy", str(policy), "--config", str(tmp_path / "none.toml")]
    assert main(["release", "verify", str(desk.build("1.0")), *places]) == 0
    assert main(["release", "install", str(desk.build("1.0")), *places]) == 0
    assert "models 1.0 runs now, kept on its hashes" in capsys.readouterr().out
    assert main(["release", "install", str(desk.build("0.9")), *places]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edge-runtime: ")
    assert error.count("\n") == 1
    assert main(["release", "list", *places]) == 0
    assert capsys.readouterr().out.split() == ["models", "1.0", "current,", "proven"]
    assert main(["release", "rollback", "models", *places]) == 2


@pytest.mark.parametrize("track", ["runtime", "models"])
def test_what_is_built_here_is_whole_and_holds_no_key(track: str, desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "r.tar"
    command = ["release", "build", track, "--version", "9.9", "--key", str(desk.key_file), "--out", str(out)]
    assert main(command) == 0
    assert main(["release", "verify", str(out), "--policy", str(desk.write_policy(tmp_path / "release.toml"))]) == 0
    assert b"PRIVATE KEY" not in out.read_bytes()


def test_a_bare_python_can_take_a_release(desk: Desk, tmp_path: Path) -> None:
    """Standard library and cryptography only: whatever else is imported on the way would fail on a bare box."""
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pydantic", "numpy", "cv2", "paho", "pygame", "onnxruntime", "prometheus_client"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from edge_runtime.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    policy = desk.write_policy(tmp_path / "release.toml")
    places = ["--root", str(tmp_path / "box"), "--policy", str(policy), "--config", str(tmp_path / "none.toml")]
    command = [sys.executable, "-c", program, "release", "install", str(desk.build("1.0")), *places]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
