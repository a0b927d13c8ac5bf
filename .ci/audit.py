"""Known vulnerabilities of the locked requirements; exit code 1 when there is one, or when a package cannot be judged.

PyPI's own service judges, or one that speaks OSV's language, asked by pip-audit. For packages that it does not answer
for, as on a build machine that sees nothing but package files, advisories.json does: what PyPA's database knew on one
day of the packages in our locks. It knows nothing newer, and the output says so.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "edge_runtime/release/locks").glob("*.txt"))
TABLE = Path(__file__).parent / "advisories.json"
PIN = re.compile(r"^([a-zA-Z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
REQUEST_S, PATIENCE_S = 5, 40

Pin = tuple[str, str]
"""Name and version, as a lock has them."""


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A pin with a known vulnerability."""

    name: str
    version: str
    advisory: str
    fixed: str

    def __str__(self) -> str:
        remedy = f'make lock ARGS="--upgrade-package {self.name}"' if self.fixed else "no release mends it: replace it"
        return f"{self.name} {self.version}: {self.advisory}, fixed in {self.fixed or 'none'}; {remedy}"


def main() -> int:
    """Audit the locks and print what was found, and who judged."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("locks", type=Path, nargs="*", default=LOCKS, help="default: what releases install")
    parser.add_argument("--osv", metavar="URL", help="ask this OSV service instead of PyPI's")
    parser.add_argument("--table-from", type=Path, metavar="CLONE", help="write advisories.json from this database")
    arguments = parser.parse_args()
    if arguments.table_from:
        TABLE.write_text(json.dumps(table_from(arguments.table_from), indent=1) + "\n")
        return 0
    pins = pins_of(arguments.locks)
    hits, unanswered = ask_live(pins, arguments.osv)
    say(f"{arguments.osv or 'PyPI'} answered for {len(pins) - len(unanswered)} of {len(pins)} locked requirements")
    unknown: set[str] = set()
    if unanswered:
        table = json.loads(TABLE.read_text())
        say(f"the rest by {table['source']} as of {table['as_of']}: what was found since is not known here")
        unknown = {name for name, _ in unanswered} - set(table["packages"])
        hits |= look_up(unanswered, table)
    for hit in sorted(hits):
        say(str(hit))
    for name in sorted(unknown):
        say(f"{name} is not in {TABLE.name}; --table-from CLONE writes that again")
    if hits or unknown:
        return 1
    say(f"no known vulnerability in {len(pins)} locked requirements")
    return 0


def say(line: str) -> None:
    """One line for the person who reads the build."""
    print(f"edge-runtime: audit: {line}", flush=True)


def pins_of(locks: Iterable[Path]) -> set[Pin]:
    """Every pin of every lock, for whatever Python or processor it is meant."""
    return {(name.lower(), version) for lock in locks for name, version in PIN.findall(lock.read_text())}


def ask_live(pins: set[Pin], osv: str | None) -> tuple[set[Hit], set[Pin]]:
    """What the service says, and the pins that it did not answer for."""
    versions = [[pin for pin in sorted(pins) if pin[0] == name] for name in sorted({name for name, _ in pins})]
    hits: set[Hit] = set()
    answered: set[Pin] = set()
    for column in itertools.zip_longest(*versions):  # a requirements file has a name once
        for package in ask_pip_audit([pin for pin in column if pin is not None], osv):
            if "skip_reason" in package:
                continue
            answered.add((package["name"], package["version"]))
            for found in package["vulns"]:
                names = ", ".join([found["id"], *found["aliases"]])
                hits.add(Hit(package["name"], package["version"], names, ", ".join(found["fix_versions"])))
    return hits, pins - answered


def ask_pip_audit(pins: list[Pin], osv: str | None) -> list[dict[str, Any]]:
    """One entry for each pin; none at all where the service cannot be reached."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{name}=={version}\n" for name, version in pins))
        file.flush()
        argv = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--requirement", file.name]
        argv += ["--format", "json", "--progress-spinner", "off", "--timeout", str(REQUEST_S)]
        argv += ["--vulnerability-service", "osv", "--osv-url", osv] if osv else []
        try:
            done = subprocess.run(argv, capture_output=True, timeout=PATIENCE_S, check=False)
            return list(json.loads(done.stdout)["dependencies"])
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return []


def look_up(pins: set[Pin], table: dict[str, Any]) -> set[Hit]:
    """The pins that the table knows something of."""
    return {
        Hit(name, version, ", ".join(row["ids"]), ", ".join(fixed for _, fixed in row["ranges"] if fixed))
        for name, version in pins
        for row in table["packages"].get(name, [])
        if version in row["versions"] or any(within(version, *range_) for range_ in row["ranges"])
    }


def within(version: str, introduced: str, fixed: str | None) -> bool:
    """True from `introduced` on until the release that mends it."""
    return Version(introduced) <= Version(version) and (fixed is None or Version(version) < Version(fixed))


def table_from(clone: Path) -> dict[str, Any]:
    """The facts of advisory-database on the packages in our locks: ids, ranges of releases."""
    import yaml

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", clone, *arguments], capture_output=True, text=True, check=True).stdout

    packages: dict[str, list[dict[str, Any]]] = {name: [] for name in sorted({name for name, _ in pins_of(LOCKS)})}
    for name, rows in packages.items():
        for path in git("ls-tree", "-r", "--name-only", "HEAD", f"vulns/{name}/").splitlines():
            told = yaml.safe_load(git("show", f"HEAD:{path}"))
            if "withdrawn" not in told:
                rows += [row_of(told, affected) for affected in told["affected"] if affected["package"]["name"] == name]
    return {
        "source": "github.com/pypa/advisory-database",
        "licence": "CC-BY-4.0",
        "as_of": git("log", "-1", "--format=%cs").strip(),
        "packages": packages,
    }


def row_of(told: dict[str, Any], affected: dict[str, Any]) -> dict[str, Any]:
    """One advisory: single versions only where it names no range of releases."""
    ranges = []
    for events in (range_["events"] for range_ in affected.get("ranges", []) if range_["type"] == "ECOSYSTEM"):
        for event in events:
            if "introduced" in event:
                ranges.append([event["introduced"], None])
            elif "fixed" in event:
                ranges[-1][1] = event["fixed"]
    versions = [] if ranges else affected.get("versions", [])
    return {"ids": [told["id"], *told.get("aliases", [])], "ranges": ranges, "versions": versions}


if __name__ == "__main__":
    sys.exit(main())
