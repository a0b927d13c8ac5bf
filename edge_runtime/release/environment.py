"""Virtual environments: one for each list of requirements, shared by every release that has the same list.

Most updates change our own code only and bring no environment; they take seconds and a few megabytes. Packages come
from the index that pip is configured for on this box, and only those whose sha256 the signed release names.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from edge_runtime.errors import ReleaseError
from edge_runtime.release.policy import Platform

LOCKS = "lib/edge_runtime/release/locks"
_WHOLE = ".whole"
_TIMEOUT_S = 3600.0


def platform_here() -> Platform:
    """Which requirements this machine takes."""
    if Path("/etc/nv_tegra_release").exists():
        return "jetson"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "cpu"
    return "gpu"


def make_environment(root: Path, release: Path, platform: Platform) -> Path:
    """The environment for a release: found, or made in seconds to minutes.

    Args:
        root: of the releases.
        release: unpacked.
        platform: which of its lists of requirements.

    Raises:
        ReleaseError: the release has no such list, or a package cannot be had or is not the one that was signed.
    """
    lock = release / LOCKS / f"{platform}.txt"
    try:
        content = lock.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{lock}: {error.strerror}: the release is not made for platform {platform!r}") from error
    python = _python(platform)
    version = subprocess.run([python, "-V"], capture_output=True, check=True).stdout
    environment = root / "environments" / hashlib.sha256(content + platform.encode() + version).hexdigest()[:16]
    if not (environment / _WHOLE).exists():
        shutil.rmtree(environment, ignore_errors=True)
        environment.parent.mkdir(parents=True, exist_ok=True)
        system = ["--system-site-packages"] if platform == "jetson" else []  # TensorRT comes with JetPack
        _call([python, "-m", "venv", *system, str(environment)], "a virtual environment cannot be made")
        python = str(environment / "bin/python")
        pip = [python, "-m", "pip", "--no-input", "--disable-pip-version-check", "install", "-q"]
        _call([*pip, "--require-hashes", "--only-binary=:all:", "-r", str(lock)], f"{lock.name} cannot be installed")
        os.sync()
        (environment / _WHOLE).touch()
        os.sync()
    return environment


def _python(platform: Platform) -> str:
    """The Python below the one that runs us; on a Jetson the system's, to which TensorRT belongs."""
    if platform == "jetson":
        return "/usr/bin/python3"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(Path(sys.base_prefix) / "bin" / version)


def _call(command: list[str], failure: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReleaseError(f"{failure}: {error}") from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        told = next((line for line in lines if "ERROR" in line or "rror:" in line), lines[-1] if lines else "no reason")
        raise ReleaseError(f"{failure}: {told.strip()[:300]}")


def prune_environments(root: Path, releases: list[Path]) -> None:
    """Remove environments that no release needs."""
    wanted = {(release / "environment").resolve() for release in releases}
    for environment in (root / "environments").glob("*"):
        if environment.resolve() not in wanted:
            shutil.rmtree(environment, ignore_errors=True)
