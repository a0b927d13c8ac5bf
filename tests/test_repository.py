"""What the repository may hold."""

import hashlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = {
    *("CHANGELOG.md", "LICENSE", "Makefile", "NOTICE", "README.md", "pyproject.toml"),
    *("ansible", "device_configs", "docs", "edge_runtime", "export", "models", "tests"),
}
SHA256 = re.compile(r"[0-9a-f]{64}")
UNLISTED = {".jpg", ".md", ".png", ".sig", ".txt"}  # cards with their pictures, licences, the manifest's own signature

# Put together from pieces, so that this file passes its own test.
OF_ONE_MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.~}-])/(?:wor" + "k|roo" + r"t)/\w",
            r"\bpypi" + r"\.org\b",
            r"\bpython" + r"hosted\.org\b",
            r"\b(?:extra-)?index" + r"-url\b",
            r"\bnpmjs" + r"\.(?:org|com)\b",
        ]
    )
)


def tracked_files() -> list[Path]:
    argv = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    try:
        listing = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def named_hashes(table: dict[str, Any], named: str = "") -> Iterator[tuple[str, str]]:
    """Every (file, sha256) of a manifest: `"f" = "…"`, `"f" = { sha256 = "…" }` or `{ file = "f", sha256 = "…" }`."""
    name = next((table[key] for key in ("file", "path", "name") if isinstance(table.get(key), str)), named)
    for key, value in table.items():
        if isinstance(value, str) and SHA256.fullmatch(value):
            yield (name if key == "sha256" else key), value
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict):
                yield from named_hashes(child, key)


def test_the_top_level_stays_small() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert not {name for name in names if not name.startswith(".")} - TOP_LEVEL


def test_licence_and_notice_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "NOTICE").is_file()


def test_no_file_names_a_path_or_a_package_host_of_one_machine() -> None:
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
                found += [f"{path.relative_to(ROOT)}:{number}: {hit[0]}" for hit in OF_ONE_MACHINE.finditer(line)]
    assert not found


@pytest.mark.parametrize(
    "bundle", sorted(path.parent for path in ROOT.glob("models/*/manifest.toml")), ids=lambda p: p.name
)
def test_a_bundle_lists_the_hash_of_every_file(bundle: Path) -> None:
    listed = dict(named_hashes(tomllib.loads((bundle / "manifest.toml").read_text())))
    actual = {
        str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != "manifest.toml"
    }
    wanted = {name: digest for name, digest in actual.items() if name in listed or Path(name).suffix not in UNLISTED}
    assert {name: listed.get(name) for name in wanted} == wanted


def test_every_bundle_has_a_manifest() -> None:
    assert not [
        path.name for path in ROOT.glob("models/*/") if path.is_dir() and not (path / "manifest.toml").is_file()
    ]
