import io
import json
import tarfile
from pathlib import Path

import pytest

from edge_runtime.errors import EdgeError, ReleaseError
from edge_runtime.release.archive import ReleaseFile, build, find_damage, version_order
from tests.fixtures.releases import Desk, make_key


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def repack(path: Path, change: str) -> Path:
    """The same release after somebody laid hands on it."""
    altered = path.with_name(f"altered-{path.name}")
    with tarfile.open(path) as old, tarfile.open(altered, "w") as new:
        for member in old:
            source = old.extractfile(member)
            content = source.read() if source else b""
            match change, member.name:
                case "a file altered", "a":
                    content = content[::-1]
                case "a file longer", "a":
                    content += b"more"
                case "a file missing", "a":
                    continue
                case "the list altered", "release.json":
                    tree = json.loads(content)
                    tree["version"] = "9.0"
                    content = json.dumps(tree).encode()
                case "signature cut", "release.json.sig":
                    content = content[:20]
                case "signature dropped", "release.json.sig":
                    continue
                case "a link instead", "a":
                    link = tarfile.TarInfo("a")
                    link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
                    new.addfile(link)
                    continue
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
        if change == "a file too many":
            new.addfile(tarfile.TarInfo("b"), io.BytesIO(b""))
    return altered


def test_what_was_signed_comes_out_as_it_went_in(desk: Desk, tmp_path: Path) -> None:
    path = desk.build("1.0", a="alpha", folder__b="beta")
    with ReleaseFile(path, [desk.public_key]) as file:
        file.unpack(tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "alpha"
    assert (tmp_path / "out/folder/b").read_text() == "beta"
    assert find_damage(tmp_path / "out") is None


def test_the_same_files_give_the_same_release(desk: Desk) -> None:
    first = desk.build("1.0", a="alpha").read_bytes()
    assert desk.build("1.0", a="alpha").read_bytes() == first


def test_an_executable_stays_one_and_nothing_else_becomes_one(desk: Desk, tmp_path: Path) -> None:
    for name, mode in (("run", 0o755), ("read", 0o644)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    build("models", "1.0", {name: tmp_path / name for name in ("run", "read")}, tmp_path / "r.tar", desk.key_file)
    with ReleaseFile(tmp_path / "r.tar", [desk.public_key]) as file:
        file.unpack(tmp_path / "out")
    assert [(tmp_path / "out" / name).stat().st_mode & 0o777 for name in ("run", "read")] == [0o755, 0o644]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("a file altered", "a was altered"),
        ("a file longer", "a has 9 bytes; its list says 5"),
        ("a file missing", "a is missing"),
        ("a file too many", "'b' is not in its signed list"),
        ("a link instead", "'a' is no plain file"),
        ("the list altered", "fits none of the 1 trusted_keys"),
        ("signature cut", "is 15 bytes; expected 64"),
        ("signature dropped", "is not signed and this box requires it"),
    ],
)
def test_a_release_that_was_tampered_with_is_refused_in_one_line(desk: Desk, change: str, words: str) -> None:
    path = repack(desk.build("1.0", a="alpha", z="omega"), change)
    with pytest.raises(ReleaseError) as raised, ReleaseFile(path, [desk.public_key]) as file:
        file.unpack(None)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_release_that_somebody_else_signed_is_refused(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="fits none of the 1 trusted_keys"):
        ReleaseFile(desk.build("1.0"), [make_key(tmp_path / "other.pem")])


def test_a_release_that_is_cut_short_at_any_point_is_refused(desk: Desk, tmp_path: Path) -> None:
    whole = desk.build("1.0", a="alpha" * 2000, b="beta" * 2000).read_bytes()
    ends = whole.rindex(b"beta") + 4
    for length in range(0, ends, 997):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole[:length])
        with pytest.raises(ReleaseError), ReleaseFile(cut, [desk.public_key]) as file:
            file.unpack(None)


def test_what_is_no_release_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello " * 1000)
    with pytest.raises(ReleaseError, match="cannot be read as a release"):
        ReleaseFile(path, None)
    with pytest.raises(ReleaseError, match="cannot be read as a release"):
        ReleaseFile(tmp_path / "missing.tar", None)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "", "a//b", "./a"])
def test_a_name_that_leaves_the_release_is_refused_whoever_signed_it(desk: Desk, name: str) -> None:
    with pytest.raises(ReleaseError, match="lies outside the release"):
        build("models", "1.0", {name: desk.key_file}, desk.folder / "r.tar", desk.key_file)


@pytest.mark.parametrize("version", ["1", "1.x", "1.0-2", "v1.0", "1.0\n", "../1.0", "1.0.0.0.0"])
def test_what_is_no_version_is_refused(desk: Desk, version: str) -> None:
    with pytest.raises(ReleaseError, match=r"expected e\.g\."):
        build("models", version, {}, desk.folder / "r.tar", None)


def test_versions_have_an_order() -> None:
    ordered = ["0.9", "1.2a1", "1.2b1", "1.2rc1", "1.2rc2", "1.2", "1.2.1", "1.10", "2026.9.30", "2026.11.28"]
    assert sorted(set(ordered), key=version_order) == ordered
    assert version_order("1.2") == version_order("1.2.0")


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(EdgeError, match="cannot be read as a private key"):
        build("models", "1.0", {}, tmp_path / "r.tar", tmp_path / "key.pem")
    assert not (tmp_path / "r.tar").exists()
