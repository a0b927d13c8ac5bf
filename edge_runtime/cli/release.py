"""`edge-runtime release`: build and sign on a desk; verify, install, watch, roll back on a box."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from edge_runtime import __version__
from edge_runtime.errors import ReleaseError, TrialFailed
from edge_runtime.release import service
from edge_runtime.release.archive import TRACKS, ReleaseFile, build
from edge_runtime.release.install import LAUNCHER, Installer, Outcome, watch_and_judge
from edge_runtime.release.policy import Policy, load_policy
from edge_runtime.release.shelf import LINKS, Shelf

_ROLLED_BACK = 3
_PACKAGE = Path(__file__).resolve().parents[1]


def run(arguments: argparse.Namespace) -> int:
    """Exit code: 0; 2 where a release was refused and nothing changed; 3 where one was tried and did not do."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "build": _build,
        "verify": _verify,
        "install": _install,
        "rollback": _rollback,
        "list": _list,
        "health": _health,
        "trial": _trial,
        "settle": _settle,
    }
    try:
        return actions[arguments.action](arguments)
    except TrialFailed as error:
        _say(arguments, str(error), failed=str(error))
        return _ROLLED_BACK


def _say(arguments: argparse.Namespace, text: str, **fields: object) -> None:
    print(json.dumps(fields) if arguments.json else text)


def _installer(arguments: argparse.Namespace, policy: Policy) -> Installer:
    return Installer(arguments.root, policy, arguments.config)


# -- on a desk -----------------------------------------------------------------------------------------------------


def _build(arguments: argparse.Namespace) -> int:
    version = arguments.version or (__version__ if arguments.track == "runtime" else None)
    if version is None:
        raise ReleaseError("a release of models needs --version, e.g. --version 2026.11.28")
    if arguments.track == "runtime":
        files = _runtime_files()
    else:
        files = _files_below(arguments.source or _PACKAGE.parent / "models")
    out = arguments.out or Path(f"edge-runtime-{arguments.track}-{version}.tar")
    public_key = build(arguments.track, version, files, out, arguments.key)
    signed = f"signed; trusted_keys = [{json.dumps(public_key)}]" if public_key else "unsigned"
    size = out.stat().st_size
    _say(
        arguments,
        f"{out}: {arguments.track} {version}, {len(files)} files, {size / 1e6:.1f} MB, {signed}",
        path=str(out), track=arguments.track, version=version, bytes=size, public_key=public_key,
    )  # fmt: skip
    return 0


def _runtime_files() -> dict[str, Path]:
    """This very program, with the configs that it ships."""
    from edge_runtime.config.load import SHIPPED

    files = {f"lib/edge_runtime/{name}": path for name, path in _files_below(_PACKAGE).items()}
    files |= {f"lib/edge_runtime/device_configs/{name}": path for name, path in _files_below(SHIPPED).items()}
    return {LAUNCHER: _PACKAGE / "release" / "launcher.sh", **files}


def _files_below(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not paths:
        raise ReleaseError(f"{folder}: holds no files; name another folder")
    return {str(path.relative_to(folder)): path for path in paths}


def _verify(arguments: argparse.Namespace) -> int:
    keys = None if arguments.unsigned else load_policy(arguments.policy).keys
    with ReleaseFile(arguments.file, keys) as file:
        file.unpack(None)
        contents = file.contents
        judged = "signed by a trusted key" if keys is not None else "its signature was not looked at"
        _say(
            arguments,
            f"ok: {arguments.file}: {contents.track} {contents.version}, {len(contents.files)} files, {judged}",
            track=contents.track, version=contents.version, files=len(contents.files), signed=keys is not None,
        )  # fmt: skip
    return 0


# -- on a box ------------------------------------------------------------------------------------------------------


def _install(arguments: argparse.Namespace) -> int:
    installer = _installer(arguments, load_policy(arguments.policy))
    _tell(arguments, installer.install(arguments.file, again=arguments.again))
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    _tell(arguments, _installer(arguments, Policy()).rollback(arguments.track))
    return 0


def _tell(arguments: argparse.Namespace, outcome: Outcome) -> None:
    what = "runs now, kept on" if outcome.changed else "runs:"
    _say(arguments, f"{outcome.track} {outcome.version} {what} {outcome.judged_by}", **asdict(outcome))


def _list(arguments: argparse.Namespace) -> int:
    shelves = {track: Shelf(arguments.root, track) for track in TRACKS}
    if arguments.json:
        print(json.dumps({track: _describe(shelf) for track, shelf in shelves.items()}, indent=2))
        return 0
    for track, shelf in shelves.items():
        for release in shelf.all():
            marks = ", ".join(link for link in LINKS if shelf.linked(link) == release)
            print(f"{track:<8} {release.name:<14} {marks}")
        for version, reason in shelf.rejected().items():
            print(f"{track:<8} {version:<14} rejected: it {reason}")
    return 0


def _describe(shelf: Shelf) -> dict[str, object]:
    links = {link: release.name if (release := shelf.linked(link)) else None for link in LINKS}
    return {**links, "releases": [path.name for path in shelf.all()], "rejected": shelf.rejected()}


def _health(arguments: argparse.Namespace) -> int:
    limits = load_policy(arguments.policy).gate
    fault = service.restart(limits.first_picture_s * 2) if arguments.restart else None
    fault = fault or watch_and_judge(limits)
    if fault:
        raise TrialFailed(f"the show {fault}")
    _say(arguments, f"the show is well: watched for {limits.watch_s:g} s", healthy=True)
    return 0


def _trial(arguments: argparse.Namespace) -> int:
    _installer(arguments, load_policy(arguments.policy)).trial(arguments.track)
    return 0


def _settle(arguments: argparse.Namespace) -> int:
    left = _installer(arguments, Policy()).settle()
    if left and service.is_active():
        service.restart(30.0)
    for release in left:
        print(f"{release.parent.parent.name} {release.name} was on trial and is undone")
    return 0
