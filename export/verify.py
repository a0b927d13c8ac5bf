"""One table of all bundles: every shipped precision beside fp32, every student beside its teacher."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.bundle import LARGEST_BYTES, fault_of_all, milliseconds, sha256, variants_in
from export.quantize import Quantizer
from export.run import Run
from export.students import NAMES, Bound, open_student


@dataclass(frozen=True, slots=True)
class Row:
    """One precision of one bundle, or the student beside its teacher."""

    bundle: str
    what: str
    bounds: tuple[Bound, ...]

    @property
    def holds(self) -> bool:
        """Whether every bound holds."""
        return all(bound.holds for bound in self.bounds)

    def __str__(self) -> str:
        figures = "  ".join(f"{b.what} {b.seen:.4g}{'' if b.holds else f' (breaks {b.limit:g})'}" for b in self.bounds)
        return f"{'ok ' if self.holds else 'BAD'} {self.bundle:14} {self.what:9} {figures}"


def verify(models: Path, names: Sequence[str], run_of: dict[str, Run]) -> Iterator[Row]:
    """Measure the bundles named, or all students' that are there."""
    for name in names or [module.replace("_", "-") for module in NAMES]:
        folder = models / name
        if (folder / "manifest.toml").exists():
            yield from _bundle(name, folder, run_of.get(name) or Run.open(name))
        elif names:
            yield Row(name, "bundle", (Bound("is in the folder", 0.0, 1.0, at_most=False),))
    if fault := fault_of_all(models):
        yield Row("all", fault, (Bound("fits", 0.0, 1.0, at_most=False),))


def _bundle(name: str, folder: Path, run: Run) -> Iterator[Row]:
    student = open_student(name)
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    variants = variants_in(folder, manifest)
    reference = variants.get("fp32") or next(iter(variants.values()))
    quantizer = Quantizer(student, run, reference)
    times = milliseconds(variants, dict.fromkeys(variants, next(iter(student.held_out(run)))))
    for file in manifest["files"]:
        path, precision = folder / file["path"], file["precision"]
        bounds = [] if path == reference else quantizer.judge(path)
        yield Row(
            name,
            precision,
            (
                Bound("hash", float(sha256(path) == file["sha256"]), 1.0, at_most=False),
                Bound("MB", path.stat().st_size / 1e6, LARGEST_BYTES / 1e6),
                Bound("ms", times[precision]),
                *bounds,
            ),
        )
    yield Row(name, "student", tuple(student.against_teacher(run, reference)))
