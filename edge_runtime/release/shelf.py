"""Releases side by side on a box, and the links that say which one counts. Every change is one rename, synced.

    ROOT/runtime/releases/1.4.0/   whole, or not there under that name
    ROOT/runtime/current  -> what runs, or runs from its next start on
    ROOT/runtime/proven   -> the last that was judged and found good: what judges the next one, and what comes back
    ROOT/runtime/previous -> proven before that: what `rollback` goes to
    ROOT/runtime/rejected/1.5.0.json  why that release is not wanted here
    ROOT/runtime/trial.json  what the trial unit is to try, and how long it took to its first picture in rehearsal
    ROOT/models/...       the same
    ROOT/environments/    virtual environments, each shared by the releases with the same requirements

The links alone are the state: a trial is under way exactly where current and proven differ. A box that loses power at
any moment comes up with whole releases behind every link.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ReleaseError
from edge_runtime.release.archive import CONTENTS, Contents, Track, find_damage, sha256_of, version_order

LINKS = ("current", "proven", "previous")
_STAGING = ".staging-"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The releases of one track. Written by root alone, under `locked`."""

    root: Path
    track: Track

    @property
    def folder(self) -> Path:
        return self.root / self.track

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    def linked(self, link: str) -> Path | None:
        """The release behind one of `LINKS`; None where there is no such link or nothing behind it."""
        path = self.folder / link
        try:
            target = path.resolve(strict=True)
        except OSError:
            return None
        return target if target.parent == self.releases.resolve() else None

    def link(self, link: str, release: Path) -> None:
        """Point a link at a release, at once and for good.

        Raises:
            ReleaseError: it cannot be written.
        """
        fresh = self.folder / f".{link}-{secrets.token_hex(4)}"
        try:
            fresh.symlink_to(Path("releases") / release.name)
            fresh.replace(self.folder / link)
            sync_folder(self.folder)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise ReleaseError(f"{self.folder / link}: cannot be changed: {error.strerror}; be root") from error

    def begin(self) -> Path:
        """An empty folder to unpack into; what earlier attempts left is swept away first.

        Raises:
            ReleaseError: it cannot be made.
        """
        try:
            self.releases.mkdir(parents=True, exist_ok=True)
            for left in (*self.releases.glob(f"{_STAGING}*"), *self.folder.glob(".*-*")):
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
            staging = self.releases / f"{_STAGING}{secrets.token_hex(4)}"
            staging.mkdir()
        except OSError as error:
            raise ReleaseError(f"{self.releases}: cannot be written: {error.strerror}; be root") from error
        return staging

    def keep(self, staging: Path, version: str) -> Path:
        """Give a whole release its name. Everything in it is on the disk before the name is."""
        release, doomed = self.releases / version, self.releases / f"{_STAGING}{secrets.token_hex(4)}"
        os.sync()
        if release.exists():  # damaged, or never proven and now to be another: see `find`
            release.rename(doomed)  # a link that counts may lead here: the next line mends it at once
        staging.rename(release)
        sync_folder(self.releases)
        shutil.rmtree(doomed, ignore_errors=True)
        return release

    def find(self, contents: Contents, raw: bytes) -> Path | None:
        """The release with these contents, if it is here and undamaged.

        Raises:
            ReleaseError: the version is here, counts, and is another.
        """
        release = self.releases / contents.version
        if not release.is_dir():
            return None
        same = (release / CONTENTS).read_bytes() == raw
        if same and find_damage(release) is None:
            return release
        if not same and release in {self.linked(link) for link in LINKS}:
            raise ReleaseError(
                f"{self.track} {contents.version} is here already with other contents; give the new one a new version"
            )
        return None

    @property
    def trial_pending(self) -> bool:
        """A release runs that was not judged yet."""
        return self.linked("proven") is not None and self.linked("current") != self.linked("proven")

    def settle(self) -> Path | None:
        """Go back to what was proven; what was abandoned, None where nothing was on trial."""
        proven, current = self.linked("proven"), self.linked("current")
        if proven is None or current == proven:
            return None
        self.link("current", proven)
        return current

    def prove(self, release: Path) -> None:
        """From now on this one comes back, and the one before it is kept for `rollback`."""
        before = self.linked("proven")
        if before is not None and before != release:
            self.link("previous", before)
        self.link("proven", release)
        self._note(release).unlink(missing_ok=True)

    def reject(self, release: Path, reason: str) -> None:
        """Note why a release is not wanted here, so that it is not tried again by itself."""
        note = {"sha256": sha256_of(release / CONTENTS), "reason": reason}
        with contextlib.suppress(OSError):  # a full disk must not keep the old release from coming back
            self._note(release).parent.mkdir(exist_ok=True)
            self._note(release).write_text(json.dumps(note) + "\n", encoding="utf-8")

    def rejection(self, version: str, raw_contents: bytes) -> str | None:
        """Why the release with these contents is not wanted here, None where it is."""
        try:
            note = json.loads((self.folder / "rejected" / f"{version}.json").read_bytes())
            return str(note["reason"]) if note["sha256"] == hashlib.sha256(raw_contents).hexdigest() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def rejected(self) -> dict[str, str]:
        """Versions that are not wanted here, and why."""
        notes = {}
        for path in sorted((self.folder / "rejected").glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                notes[path.stem] = str(json.loads(path.read_bytes())["reason"])
        return notes

    def _note(self, release: Path) -> Path:
        return self.folder / "rejected" / f"{release.name}.json"

    def all(self) -> list[Path]:
        """Every whole release, oldest version first."""
        found = [path for path in self.releases.glob("[!.]*") if path.is_dir()]
        return sorted(found, key=lambda path: version_order(path.name))

    def prune(self) -> None:
        """Remove releases that no link needs."""
        wanted = {self.linked(link) for link in LINKS}
        for release in self.all():
            if release not in wanted:
                self._remove(release)

    def _remove(self, release: Path) -> None:
        """Its name goes first: what has a name is whole."""
        doomed = self.releases / f"{_STAGING}{secrets.token_hex(4)}"
        release.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One change of releases at a time on a box; the lock goes with the process that holds it.

    Raises:
        ReleaseError: somebody else changes releases now, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / ".lock").open("a")
    except OSError as error:
        raise ReleaseError(f"{root}: cannot be written: {error.strerror}; be root, or choose --root") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ReleaseError(f"{root}: another `edge-runtime release` is at work; wait for it") from error
        yield


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
