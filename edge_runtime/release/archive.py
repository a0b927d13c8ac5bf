"""The release file: a tar whose first members are `release.json`, with the sha256 of every other, and its signature.

It is read once, from the front: nothing is unpacked before the signature fits, and no byte is kept that the signed list
does not name. The same files give the same archive.
"""

import hashlib
import io
import itertools
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, get_args

from edge_runtime.errors import ReleaseError
from edge_runtime.trust.signing import find_signature_fault, sign

Track = Literal["runtime", "models"]
TRACKS: tuple[Track, ...] = get_args(Track)
CONTENTS, SIGNATURE = "release.json", "release.json.sig"
SCHEMA = 1
MAX_CONTENTS_BYTES = 4_000_000
MAX_SIGNATURE_BYTES = 1000
MAX_RELEASE_BYTES = 2_000_000_000
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){1,3}((a|b|rc)\d{1,9})?")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """One file of a release."""

    sha256: str
    bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """What `release.json` says."""

    track: Track
    version: str
    files: Mapping[str, File]

    def to_bytes(self) -> bytes:
        """As it is signed."""
        tree = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(tree, indent=1, sort_keys=True).encode() + b"\n"


def version_order(version: str) -> tuple[tuple[int, ...], tuple[int, str, int]]:
    """What versions are compared by: 1.2rc1 < 1.2 = 1.2.0 < 1.10.

    Raises:
        ReleaseError: it is no version.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"version {version!r} is none; expected e.g. 1.4, 1.4.2, 2026.11.28 or 1.5rc1")
    numbers, kind, candidate = re.fullmatch(r"([\d.]+?)(?:(a|b|rc)(\d+))?", version).groups()  # type: ignore[union-attr]
    parts = [int(number) for number in numbers.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts), (1, "", 0) if kind is None else (0, kind, int(candidate))


def parse_contents(content: bytes, where: str) -> Contents:
    """Read `release.json`.

    Raises:
        ReleaseError: it is of another schema, or not what a release holds.
    """
    try:
        tree: Any = json.loads(content)
        if not isinstance(tree, dict) or tree.get("schema") != SCHEMA:
            seen = tree.get("schema") if isinstance(tree, dict) else tree
            raise ReleaseError(f"{where}: schema {str(seen)[:40]!r}; this program reads {SCHEMA}: update it first")
        files = {_safe(name): File(**entry) for name, entry in tree["files"].items()}
        contents = Contents(tree["track"], str(tree["version"]), files)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ReleaseError(f"{where}: {CONTENTS} is not that of a release: {error}") from error
    if contents.track not in TRACKS:
        raise ReleaseError(f"{where}: track {str(contents.track)[:40]!r}; expected one of {', '.join(TRACKS)}")
    version_order(contents.version)
    if sum(int(file.bytes) for file in files.values()) > MAX_RELEASE_BYTES:
        raise ReleaseError(f"{where}: unpacks to more than {MAX_RELEASE_BYTES:,} bytes")
    return contents


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or str(path) != name or "\0" in name:
        raise ValueError(f"file {name[:80]!r} lies outside the release")
    return name


def build(track: Track, version: str, files: Mapping[str, Path], out: Path, key_file: Path | None) -> str | None:
    """Write a release.

    Args:
        track: which.
        version: every release of a track has its own.
        files: name in the release -> file on this machine; its executable bit comes along.
        out: file to write; replaced only by a whole one.
        key_file: private Ed25519 key in PEM; None leaves the release unsigned.

    Returns:
        The public key in hexadecimal, for `trusted_keys` of the boxes' policy.

    Raises:
        ReleaseError: no version, or a file cannot be read or written.
        EdgeError: the key cannot be used.
    """
    version_order(version)
    try:
        listed = {_safe(name): _describe(path) for name, path in sorted(files.items())}
        content = Contents(track, version, listed).to_bytes()
        signature, public_key = sign(content, key_file) if key_file else (None, None)
        partial = out.with_name(f".{out.name}.partial")
        with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, CONTENTS, io.BytesIO(content), len(content), 0o644)
            if signature:
                _add(tar, SIGNATURE, io.BytesIO(signature), len(signature), 0o644)
            for name, file in listed.items():
                with files[name].open("rb") as source:
                    _add(tar, name, source, file.bytes, 0o755 if file.executable else 0o644)
        partial.replace(out)
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{out}: cannot be built: {error}") from error
    return public_key


def _describe(path: Path) -> File:
    status = path.stat()
    return File(sha256_of(path), status.st_size, bool(status.st_mode & 0o100))


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(tar: tarfile.TarFile, name: str, source: Any, size: int, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    tar.addfile(member, source)


class ReleaseFile:
    """A release file that is open for reading, its signature judged. Use as a context manager, from one thread."""

    def __init__(self, path: Path, keys: Sequence[bytes] | None) -> None:
        """Open and judge what the file says of itself.

        Args:
            path: of the file.
            keys: public keys, 32 bytes each, one of which must have signed it; None: it may be unsigned.

        Raises:
            ReleaseError: it is no release, or not signed as asked.
        """
        self.path = path
        try:
            self._tar = tarfile.open(path, "r|")  # noqa: SIM115 - closed by close
        except (OSError, tarfile.TarError) as error:
            raise ReleaseError(f"{path}: cannot be read as a release: {error}") from error
        try:
            self._members = self._iterate()
            self._ahead = next(self._members, None)
            contents = self._read(CONTENTS, MAX_CONTENTS_BYTES)
            if contents is None:
                raise ReleaseError(f"{path}: is no release: it does not begin with {CONTENTS}")
            self.raw_contents = contents
            self.signature = self._read(SIGNATURE, MAX_SIGNATURE_BYTES)
            if keys is not None:
                self._require_signature(keys)
            self.contents = parse_contents(self.raw_contents, str(path))
        except BaseException:
            self._tar.close()
            raise

    def _require_signature(self, keys: Sequence[bytes]) -> None:
        if self.signature is None:
            raise ReleaseError(f"{self.path}: is not signed and this box requires it: release build --key signing.pem")
        if fault := find_signature_fault(self.signature, self.raw_contents, keys):
            raise ReleaseError(f"{self.path}: its signature {fault}: altered after signing, or signed by somebody else")

    def _iterate(self) -> Iterator[tuple[tarfile.TarInfo, Any]]:
        try:
            for member in self._tar:
                if not member.isreg():
                    raise ReleaseError(f"{self.path}: {member.name[:80]!r} is no plain file; a release holds no others")
                yield member, self._tar.extractfile(member)
        except (OSError, tarfile.TarError) as error:
            raise self._torn(error) from error

    def _read(self, name: str, max_bytes: int) -> bytes | None:
        """The next member, if that is its name."""
        if self._ahead is None or self._ahead[0].name != name or self._ahead[0].size > max_bytes:
            return None
        content = b"".join(self._blocks(self._ahead[1]))
        self._ahead = next(self._members, None)
        return content

    def unpack(self, folder: Path | None) -> None:
        """Compare every file with its hash and, where there is a folder, write them into it. Once only.

        Raises:
            ReleaseError: a file is altered, missing or one too many, or the folder cannot be written.
        """
        missing = dict(self.contents.files)
        for member, source in itertools.chain([self._ahead] if self._ahead else [], self._members):
            self._take(member, source, missing, folder)
        if missing:
            raise ReleaseError(f"{self.path}: {next(iter(missing))} is missing; copy the release again")
        if folder is not None:
            (folder / CONTENTS).write_bytes(self.raw_contents)
            if self.signature is not None:
                (folder / SIGNATURE).write_bytes(self.signature)

    def _take(self, member: tarfile.TarInfo, source: Any, missing: dict[str, File], folder: Path | None) -> None:
        file = missing.pop(member.name, None)
        if file is None:
            raise ReleaseError(f"{self.path}: {member.name[:80]!r} is not in its signed list; it was altered")
        if member.size != file.bytes:
            raise ReleaseError(f"{self.path}: {member.name} has {member.size} bytes; its list says {file.bytes}")
        digest = hashlib.sha256()
        place = folder / member.name if folder else Path(os.devnull)
        try:
            if folder:
                place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                for block in self._blocks(source):
                    digest.update(block)
                    out.write(block)
            if folder:
                place.chmod(0o755 if file.executable else 0o644)
        except OSError as error:
            raise ReleaseError(f"{place}: cannot be written: {error.strerror}") from error
        if digest.hexdigest() != file.sha256:
            raise ReleaseError(f"{self.path}: {member.name} was altered: its sha256 is not the one that was signed")

    def _blocks(self, source: Any) -> Iterator[bytes]:
        try:
            while block := source.read(_BLOCK_BYTES):
                yield block
        except tarfile.TarError as error:
            raise self._torn(error) from error

    def _torn(self, error: Exception) -> ReleaseError:
        return ReleaseError(f"{self.path}: is cut short or altered: {error}; copy it again")

    def close(self) -> None:
        self._tar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_contents(folder: Path) -> Contents:
    """What an unpacked release says of itself.

    Raises:
        ReleaseError: it does not.
    """
    try:
        return parse_contents((folder / CONTENTS).read_bytes(), str(folder))
    except OSError as error:
        raise ReleaseError(f"{folder}: is no release: {error.strerror}") from error


def find_damage(folder: Path) -> str | None:
    """Compare an unpacked release with its list; the first file that is not as signed, and why."""
    for name, file in read_contents(folder).files.items():
        path = folder / name
        try:
            if path.stat().st_size != file.bytes or sha256_of(path) != file.sha256:
                return f"{path} was altered"
        except OSError as error:
            return f"{path}: {error.strerror}"
    return None
