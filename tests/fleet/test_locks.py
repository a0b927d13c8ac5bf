"""The locked requirements: everything that a release installs, pinned and hashed, for every box that it may meet."""

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).parent.parent.parent
LOCKS = ROOT / "edge_runtime/release/locks"
GLIBC_OF_DEBIAN_12 = "manylinux_2_36"
BOXES = [
    *(("cpu", python, machine) for python in ("3.11", "3.12", "3.13") for machine in ("x86_64", "aarch64")),
    *(("gpu", python, "x86_64") for python in ("3.11", "3.12", "3.13")),
    ("jetson", "3.12", "aarch64"),
]
PIN = re.compile(r"[a-z0-9-]+==\S+( ; .+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def uv(*argv: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "uv", *argv], capture_output=True, text=True, check=False)


def pins(lock: Path) -> list[str]:
    return [line for line in lock.read_text().splitlines() if PIN.fullmatch(line)]


@pytest.mark.parametrize("platform", ["cpu", "gpu", "jetson"])
def test_every_requirement_has_one_version_and_its_hashes_and_nothing_else(platform: str) -> None:
    comment, *lines = (LOCKS / f"{platform}.txt").read_text().splitlines()
    assert comment == f"# [{platform}], written by `make lock`; never by hand."
    assert [line for line in lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)] == []
    follows = {after for before, after in pairwise(lines) if PIN.fullmatch(before)}
    assert follows
    assert all(HASH.fullmatch(line) for line in follows)


def test_the_locks_are_what_pyproject_asks_for(tmp_path: Path) -> None:
    """Locking again changes no version: a range that a lock no longer meets would."""
    for name in (".ci/lock", "pyproject.toml", "edge_runtime/release/locks"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    subprocess.run([tmp_path / ".ci/lock"], check=True)
    for lock in LOCKS.glob("*.txt"):
        assert pins(tmp_path / lock.relative_to(ROOT)) == pins(lock)


@pytest.mark.parametrize(("platform", "python", "machine"), BOXES)
def test_every_box_finds_a_wheel_for_every_pin(platform: str, python: str, machine: str, tmp_path: Path) -> None:
    lock = LOCKS / f"{platform}.txt"
    box = ["--python-version", python, "--python-platform", f"{machine}-{GLIBC_OF_DEBIAN_12}"]
    target = ["--target", str(tmp_path), "--only-binary", ":all:", "--require-hashes", "--dry-run"]
    done = uv("pip", "install", *target, *box, "--requirement", lock)
    assert done.returncode == 0, done.stderr
    assert " + numpy==2." in done.stderr
    assert f" + onnxruntime{'-gpu' if platform == 'gpu' else ''}==1." in done.stderr


def test_a_file_that_is_not_the_one_that_was_locked_is_not_installed(tmp_path: Path) -> None:
    name = "annotated-types=="
    (row,) = re.findall(rf"^{name}(?:.*\\\n)+.*\n", (LOCKS / "cpu.txt").read_text(), re.MULTILINE)
    lock = tmp_path / "lock.txt"
    install = ("pip", "install", "--require-hashes", "--no-deps", "--target", tmp_path / "packages", "-r", lock)
    lock.write_text(row)
    assert uv(*install).returncode == 0
    lock.write_text(re.sub("[0-9a-f]{64}", "0" * 64, row))
    refused = uv(*install, "--reinstall", "--no-cache")
    assert refused.returncode != 0
    assert "Hash mismatch for" in refused.stderr
