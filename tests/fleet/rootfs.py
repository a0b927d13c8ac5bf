"""Debian 12 roots for boxes: made once, kept outside the repository, lent as private copies that cost nothing.

    with lent(bare(), tmp_path) as root:                 # debootstrap's, with systemd, udev, D-Bus and Python
        with root.online():                              # a chroot with this machine's network, for apt, pip, Ansible
            root.run("apt-get", "install", "-y", "xvfb")
        (root.path / "etc/motd").write_text("hello")     # files from outside, at any time
    with lent(outfitted(), tmp_path) as root: ...        # with the packages, the user and the environment of a box too

A stack is a list of folders, lowest first; a root is an overlay of one with a folder of its own on top. Stacks lie in
$XDG_CACHE_HOME/edge-runtime/rootfs, named by a hash of what they were made from; remove that folder at will.
Needs root, debootstrap and overlayfs. Mounts live in a mount namespace of the test run and end with it.
"""

import ctypes
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.children import find_program

SUITE = "bookworm"
BARE_PACKAGES = ("ca-certificates", "dbus", "python3", "systemd", "systemd-sysv", "udev")
"""What a Debian image for a box brings, beside what no Debian goes without."""
BOX_PACKAGES = (
    *("libgl1", "libglib2.0-0", "libxcb1", "python3-cryptography", "python3-venv"),
    *("x11-xserver-utils", "xauth", "xvfb"),
)
"""What the product needs of Debian, and a screen."""
MAKE_S = 900.0
RUN_S = 300.0
_LENT_BY_HOST = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches its package indexes."""
_ENVIRONMENT = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_CLONE_NEWNS = 0x00020000
_PR_CAPBSET_DROP = 24
_SYS_MODULE, _SYS_RAWIO, _SYS_TIME = 16, 17, 25

Stack = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Root:
    """A root file system, at `path` while it is lent."""

    path: Path

    def run(self, *argv: str, check: bool = True, within_s: float = RUN_S) -> "subprocess.CompletedProcess[str]":
        """Run a program in it, as root, by chroot: for a box that is not up. See `online`."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        environment |= {name: value for name, value in os.environ.items() if name.upper().startswith(_ENVIRONMENT)}
        return call("chroot", str(self.path), *argv, check=check, within_s=within_s, environment=environment)

    @contextmanager
    def online(self) -> Iterator["Root"]:
        """Meanwhile it has a /proc, a /dev with next to nothing in it, and this machine's network and pip cache."""
        with ExitStack() as stack:
            proc, dev = self.path / "proc", self.path / "dev"
            stack.enter_context(_mounted(proc, "-t", "proc", "proc"))
            stack.enter_context(_mounted(proc / "sys", "--bind", "-o", "ro", str(proc / "sys")))
            stack.enter_context(_mounted(dev, "-t", "tmpfs", "-o", "mode=755", "tmpfs"))
            for name in _DEVICES:
                (dev / name).touch()
                stack.enter_context(_mounted(dev / name, "--bind", f"/dev/{name}"))
            (dev / "fd").symlink_to("/proc/self/fd")
            (dev / "shm").mkdir(mode=0o1777)
            for name in _LENT_BY_HOST:
                if Path("/", name).exists():
                    stack.enter_context(_stand_in(self.path / name))
                    stack.enter_context(_mounted(self.path / name, "--bind", str(Path("/", name).resolve())))
            pip = cache_folder().parent / "pip"
            for folder in (pip, self.path / "root/.cache/pip"):
                folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_mounted(self.path / "root/.cache/pip", "--bind", str(pip)))
            yield self


# -- stacks ----------------------------------------------------------------------------------------------------------


def bare() -> Stack:
    """An empty Debian: what a provisioning starts from."""

    def make(folder: Path) -> None:
        packages = f"--include={','.join(BARE_PACKAGES)}"
        call("debootstrap", "--variant=minbase", packages, SUITE, str(folder), within_s=MAKE_S)
        (folder / "etc/hostname").write_text("box\n")
        (folder / "etc/hosts").write_text("127.0.0.1 localhost box\n")
        (folder / "etc/machine-id").write_text("")  # every box makes its own
        Root(folder).run("apt-get", "clean")

    return (_kept("bare", (SUITE, *BARE_PACKAGES), make),)


def layered(name: str, below: Stack, inputs: tuple[str, ...], change: Callable[[Root], None]) -> Stack:
    """`below` and on it what `change` does to it, which `inputs` tell apart. Done once, with `Root.online`."""

    def make(folder: Path) -> None:
        with (
            tempfile.TemporaryDirectory(dir=cache_folder()) as aside,
            _overlay(below, folder, Path(aside)) as root,
            root.online(),
        ):
            change(root)

    return (*below, _kept(name, (*(path.name for path in below), *inputs), make))


def outfitted() -> Stack:
    """What the product stands on: Debian's packages and the user `edge`. What runs on it is installed by a test."""

    def change(root: Root) -> None:
        root.run("apt-get", "update", "-q", within_s=MAKE_S)
        root.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *BOX_PACKAGES, within_s=MAKE_S)
        root.run("apt-get", "clean")
        root.run("useradd", "--system", "--user-group", "--groups", "video,render,input,audio", "edge")

    return layered("outfitted", bare(), BOX_PACKAGES, change)


def cache_folder() -> Path:
    """Where stacks are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "edge-runtime" / "rootfs"


def _kept(name: str, inputs: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, made unless it is there: whole under that name, or not at all."""
    if os.geteuid() != 0:
        pytest.skip("a box is made by root alone")
    if find_program("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    kept = cache_folder() / f"{name}-{hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / f".{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            staging = kept.with_name(f".{name}-{secrets.token_hex(4)}")
            staging.mkdir()
            try:
                make(staging)
                staging.rename(kept)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return kept


# -- mounts ----------------------------------------------------------------------------------------------------------


@contextmanager
def lent(stack: Stack, folder: Path) -> Iterator[Root]:
    """A private copy of a stack, whose changes go to `folder` and are gone afterwards."""
    upper, aside = folder / "changes", folder / "aside"
    for path in (upper, aside):
        path.mkdir(parents=True)
    try:
        with _overlay(stack, upper, aside) as root:
            yield root
    finally:
        for path in (upper, aside):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _overlay(stack: Stack, upper: Path, aside: Path) -> Iterator[Root]:
    """The stack with `upper` on it; `aside`: an empty folder on the same file system."""
    work, target = aside / "work", aside / "root"
    work.mkdir()
    target.mkdir()
    layers = f"lowerdir={':'.join(map(str, reversed(stack)))},upperdir={upper},workdir={work}"
    with _mounted(target, "-t", "overlay", "-o", layers, "overlay"):
        yield Root(target)


@contextmanager
def _mounted(target: Path, *arguments: str) -> Iterator[None]:
    call("mount", *arguments, str(target))
    try:
        yield
    finally:
        call("umount", "--recursive", "--lazy", str(target))


@contextmanager
def _stand_in(path: Path) -> Iterator[None]:
    """A file to mount on, where there is none."""
    missing = not path.exists()
    if missing:
        path.touch()
    try:
        yield
    finally:
        if missing:
            path.unlink()


def keep_apart() -> None:
    """From now on this process's mounts end with it, and nothing that it starts sets the clock or loads modules.

    A program in a chroot is root on this machine. Source: unshare(2), capabilities(7).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        pytest.skip(f"no mount namespace of one's own: {os.strerror(ctypes.get_errno())}")
    call("mount", "--make-rprivate", "/")
    for capability in (_SYS_MODULE, _SYS_RAWIO, _SYS_TIME):
        assert libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


def call(
    *argv: str, check: bool = True, within_s: float = 60.0, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program of this machine.

    Raises:
        AssertionError: it failed; the message ends with what it said.
    """
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s, check=False
    )
    assert not check or done.returncode == 0, f"{argv}: {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
    return done
