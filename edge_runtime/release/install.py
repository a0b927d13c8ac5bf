"""From a release file to a release that runs, or to the one before it and a reason."""

import contextlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ReleaseError, TrialFailed
from edge_runtime.release import service
from edge_runtime.release.archive import TRACKS, ReleaseFile, Track, find_damage, version_order
from edge_runtime.release.environment import make_environment, platform_here, prune_environments
from edge_runtime.release.health import Stretch, judge
from edge_runtime.release.policy import GateLimits, Policy
from edge_runtime.release.rehearsal import Cast, rehearse
from edge_runtime.release.shelf import Shelf, locked

LAUNCHER = "bin/edge-runtime"
_BASELINE_S = 5.0
_WARM_UP_S = 4.0
_HURRIED_S = 2.2
"""Nobody is given less: a box that was busy when it started last may have needed long."""
_STOPPING_S = 1.5
"""Two stops, what systemd needs, and room. Source: 0.2 s a stop on a two-core server, thrice that when it is busy."""
_BACK_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an install did."""

    track: Track
    version: str
    changed: bool
    judged_by: str
    """What the release was kept on: the show's own figures, a rehearsal, or its hashes alone."""


@dataclass(frozen=True, slots=True)
class Installer:
    """Puts releases on one box. Used by root, from one thread."""

    root: Path
    policy: Policy
    config: Path
    """The device config that releases are rehearsed with; where it is missing they are not."""

    def install(self, path: Path, *, again: bool = False) -> Outcome:
        """Install a release file.

        Args:
            path: of the file.
            again: also one that was rejected here before.

        Raises:
            ReleaseError: it is refused; nothing changed.
            TrialFailed: it was tried and did not do; the release before it runs.
        """
        with locked(self.root), ReleaseFile(path, self.policy.keys) as file:
            shelf = Shelf(self.root, file.contents.track)
            version = file.contents.version
            release = shelf.find(file.contents, file.raw_contents)
            if release is not None and release == shelf.linked("proven") == shelf.linked("current"):
                return Outcome(shelf.track, version, changed=False, judged_by="here already")
            self._admit(shelf, file, again=again)
            if release is None:
                release = self._unpack(shelf, file)
            try:
                judged_by = self._try(shelf, release)
            except TrialFailed as error:
                shelf.reject(release, str(error))
                raise TrialFailed(f"{shelf.track} {version} {error}; {self._kept(shelf)}") from error
            except ReleaseError as error:
                raise ReleaseError(f"{shelf.track} {version} {error}; {self._kept(shelf)}") from error
            self._prune(shelf)
            return Outcome(shelf.track, version, changed=True, judged_by=judged_by)

    def _kept(self, shelf: Shelf) -> str:
        proven = shelf.linked("proven")
        return f"{proven.name} stays" if proven else "nothing was installed"

    def _admit(self, shelf: Shelf, file: ReleaseFile, *, again: bool) -> None:
        version, proven = file.contents.version, shelf.linked("proven")
        if shelf.trial_pending and not service.is_active():
            self.settle()
        if shelf.trial_pending:
            raise ReleaseError(f"a trial of {shelf.track} is under way or was cut short: edge-runtime release settle")
        reason = shelf.rejection(version, file.raw_contents)
        if reason is not None and not again:
            raise ReleaseError(f"{file.path}: was rejected here before: it {reason}; --again tries it once more")
        if proven and not self.policy.allow_downgrade and version_order(version) < version_order(proven.name):
            raise ReleaseError(
                f"{file.path}: {version} is older than {proven.name}, which runs here, and policy allows no downgrade; "
                "`release rollback` goes back to what ran here before"
            )

    def _unpack(self, shelf: Shelf, file: ReleaseFile) -> Path:
        staging = shelf.begin()
        try:
            file.unpack(staging)
            if shelf.track == "runtime":
                self._make_runnable(staging)
            return shelf.keep(staging, file.contents.version)
        except OSError as error:
            raise ReleaseError(f"{staging}: cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _make_runnable(self, staging: Path) -> None:
        environment = make_environment(self.root, staging, self.policy.platform or platform_here())
        (staging / "environment").symlink_to(Path("../../../environments") / environment.name)
        # Compiled now: the show's user cannot write here, and would compile at every start.
        compiling = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(staging / "lib")]
        subprocess.run([str(environment / "bin/python"), *compiling], capture_output=True, check=False)

    def _cast(self, shelf: Shelf, release: Path) -> Cast | None:
        """A rehearsal with the release in question; None where this box cannot hold one yet."""
        runtime = release if shelf.track == "runtime" else Shelf(self.root, "runtime").linked("current")
        models = release if shelf.track == "models" else Shelf(self.root, "models").linked("current")
        first = Shelf(self.root, "runtime").linked("proven") is None and models is None  # of a bare box
        if runtime is None or first or not self.config.exists():
            return None
        return Cast(runtime / LAUNCHER, self.config, models)

    def _try(self, shelf: Shelf, release: Path) -> str:
        cast = self._cast(shelf, release)
        first_picture_s = rehearse(cast, self.policy.gate) if cast else 0.0
        if shelf.linked("proven") is None or not service.is_active():
            shelf.prove(release)
            shelf.link("current", release)
            return "its rehearsal" if cast else "its hashes"
        note = {"version": release.name, "first_picture_s": first_picture_s}
        (shelf.folder / "trial.json").write_text(json.dumps(note) + "\n", encoding="utf-8")
        service.run_trial(shelf.track)
        if shelf.linked("proven") != release:
            reason = shelf.rejection(release.name, (release / "release.json").read_bytes())
            raise TrialFailed(reason or f"was not judged: journalctl -u {service.TRIAL_UNIT.format(track=shelf.track)}")
        return "the show's own figures"

    def _prune(self, shelf: Shelf) -> None:
        shelf.prune()
        if shelf.track == "runtime":
            prune_environments(self.root, shelf.all())

    def trial(self, track: Track) -> None:
        """Switch to the release that `install` noted, watch it, and keep it or go back. Run by the proven release.

        Raises:
            ReleaseError: nothing was noted.
            TrialFailed: it did not do; the release before it runs.
        """
        shelf = Shelf(self.root, track)
        try:
            note = json.loads((shelf.folder / "trial.json").read_bytes())
            release, first_picture_s = shelf.releases / note["version"], float(note["first_picture_s"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{shelf.folder}: no trial was asked for ({error}); use release install") from error
        before = _baseline()
        shelf.link("current", release)
        limits = self.policy.gate
        patience_s = first_picture_limit_s(limits, first_picture_s, before)
        fault = service.restart(patience_s) or watch_and_judge(limits, before)
        if fault is None:
            shelf.prove(release)
            return
        shelf.settle()
        if dark := service.restart(_BACK_WITHIN_S):
            fault += f", and the one before it, started again, {dark}"
        shelf.reject(release, fault)
        raise TrialFailed(f"{track} {release.name} {fault}")

    def settle(self) -> list[Path]:
        """Undo trials that were cut short; the releases that were abandoned.

        They are not wanted any more: one that takes the whole machine down would be tried for ever. A switch to what
        was proven already, forwards or by `rollback`, is completed, and nobody's fault.
        """
        left = []
        for track in TRACKS:
            shelf = Shelf(self.root, track)
            abandoned = shelf.settle()
            if abandoned is not None and abandoned != shelf.linked("previous"):
                shelf.reject(abandoned, "was on trial when the trial was cut short")
                left.append(abandoned)
        return left

    def rollback(self, track: Track) -> Outcome:
        """Go back to the release that was proven before the present one, and keep that one from coming again.

        Raises:
            ReleaseError: there is none, or it is damaged.
        """
        with locked(self.root):
            shelf = Shelf(self.root, track)
            shelf.settle()
            present, previous = shelf.linked("proven"), shelf.linked("previous")
            if present is None or previous is None or previous == present:
                raise ReleaseError(f"{shelf.folder}: keeps no release from before the present one; install one instead")
            if damage := find_damage(previous):
                raise ReleaseError(f"{damage}; install a release instead")
            shelf.link("current", previous)
            shelf.link("proven", previous)
            with contextlib.suppress(OSError):
                (shelf.folder / "previous").unlink()
            shelf.reject(present, "was rolled back by hand")
            if service.is_active() and (fault := service.restart(_BACK_WITHIN_S)):
                raise ReleaseError(f"{track} {previous.name} {fault}; see journalctl -u {service.UNIT}")
            return Outcome(track, previous.name, changed=True, judged_by="having run here before")


def first_picture_limit_s(limits: GateLimits, rehearsed_s: float, before: Stretch | None) -> float:
    """How long the first picture may take: long enough for a good release, and short enough to be back in time."""
    back_s = float((before.last["start"]["first_picture_s"] if before else None) or rehearsed_s)
    patient_s = max(limits.first_picture_s, 2 * rehearsed_s)
    room_s = limits.dark_s - back_s - _STOPPING_S
    return max(1.25 * rehearsed_s, _HURRIED_S, min(patient_s, room_s))


def watch_and_judge(limits: GateLimits, before: Stretch | None = None) -> str | None:
    """Watch the show of this box for `limits.watch_s`; what is wrong with it, None where it is well.

    Its first seconds do not count: every release loads its models then.
    """
    try:
        service.watch(_WARM_UP_S)
        return judge(service.watch(limits.watch_s), before, limits)
    except ReleaseError as error:
        return str(error)


def _baseline() -> Stretch | None:
    """How the proven release does; None where it is down, and anything is better."""
    try:
        return service.watch(_BASELINE_S)
    except ReleaseError:
        return None
