"""The product on a box, put there as by hand: a signed release, `edge-runtime release install`, the role's own units.

with lent(equipped(), folder) as root:
    install(root, release_here(folder))
    configure(root, crew())
    with Box(root) as box: ...
"""

import re
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.release import environment
from edge_runtime.release.archive import TRACKS
from edge_runtime.release.environment import LOCKS
from tests.fixtures.device import REPOSITORY
from tests.fixtures.releases import Desk
from tests.fleet.rootfs import MAKE_S, Root, Stack, call, layered, outfitted

UNIT = "edge-runtime.service"
UNITS = REPOSITORY / "ansible/roles/edge_runtime/files"
CONFIG = "etc/edge-runtime/device.toml"


@dataclass(frozen=True, slots=True)
class Release:
    """The runtime of this working tree and a bundle for it, as release files, and who signed them."""

    runtime: Path
    models: Path
    desk: Desk


def make_release(folder: Path, version: str = "1.0") -> Release:
    """Make one: `edge-runtime release build`."""
    desk = Desk(folder / "desk")
    shutil.copytree(REPOSITORY / "models/null", folder / "bundles/null")
    made = Release(folder / f"runtime-{version}.tar", folder / f"models-{version}.tar", desk)
    common = ["--version", version, "--key", str(desk.key_file), "--out"]
    program = [sys.executable, "-m", "edge_runtime", "release", "build"]
    call(*program, "runtime", *common, str(made.runtime))
    call(*program, "models", "--source", str(folder / "bundles"), *common, str(made.models))
    return made


def equipped() -> Stack:
    """`outfitted` with the environment that releases for CPUs share: what takes minutes to download."""

    def change(root: Root) -> None:
        with tempfile.TemporaryDirectory() as name:
            install(root, make_release(Path(name)))
        for track in TRACKS:
            shutil.rmtree(root.path / "opt/edge-runtime" / track)

    made_of = (REPOSITORY / LOCKS.removeprefix("lib/") / "cpu.txt", Path(environment.__file__))
    return layered("equipped", outfitted(), tuple(path.read_text() for path in made_of), change)


def install(root: Root, release: Release) -> None:
    """From a bare box to one with both releases and the units, enabled; its config is still missing: `configure`."""
    etc, bootstrap = root.path / "etc/edge-runtime", root.path / "srv/bootstrap"
    etc.mkdir(exist_ok=True)
    release.desk.write_policy(etc / "release.toml", 'platform = "cpu"')
    bootstrap.mkdir()
    shutil.copy(release.runtime, bootstrap / "runtime.tar")
    shutil.copy(release.models, bootstrap / "models.tar")
    with tarfile.open(release.runtime) as tar:
        tar.extractall(bootstrap, [member for member in tar if member.name.startswith("lib/")], filter="data")
    program = ["env", "PYTHONPATH=/srv/bootstrap/lib", "python3", "-m", "edge_runtime", "release", "install"]
    with root.online():
        for track in TRACKS:
            root.run(*program, f"/srv/bootstrap/{track}.tar", within_s=MAKE_S)
    shutil.rmtree(bootstrap)
    for unit in UNITS.iterdir():
        if unit.suffix == ".service":
            shutil.copy(unit, root.path / "etc/systemd/system" / unit.name)
            if "[Install]" in unit.read_text():
                root.run("systemctl", "enable", unit.name)
    launcher = root.path / "usr/local/bin/edge-runtime"
    launcher.unlink(missing_ok=True)
    launcher.symlink_to("/opt/edge-runtime/runtime/current/bin/edge-runtime")


def configure(root: Root, config: str) -> None:
    """Give a box its device config."""
    path = root.path / CONFIG
    path.write_text(config)
    group = re.findall(r"^edge:x:(\d+):", (root.path / "etc/group").read_text(), re.MULTILINE)[0]
    shutil.chown(path, 0, int(group))
    path.chmod(0o640)
