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
    flicker: float | None = None
    """Of the student, the teacher's being 1."""
    mb: float | None = None
    ms: float | None = None
    teacher_ms: float | None = None
    """Of the teacher's own file, in the same run, taking turns."""

    @property
    def holds(self) -> bool:
        """Whether every bound holds."""
        return all(bound.holds for bound in self.bounds)

    def __str__(self) -> str:
        figures = ", ".join(
            f"{b.what} {b.seen:.4g}{'' if b.holds else f' (BREAKS {b.limit:g})'}"
            for b in self.bounds
            if b.what != "hash"
        )
        numbers = (self.flicker, 2), (self.mb, 2), (self.ms, 2), (self.teacher_ms, 2)
        cells = " ".join(f"{'' if value is None else f'{value:.{digits}f}':>8}" for value, digits in numbers)
        altered = "; the file was altered" * any(b.what == "hash" and not b.holds for b in self.bounds)
        verdict = "ok " if self.holds else "BAD"
        return f"{verdict} {self.bundle:13} {self.what:9} {cells}  {figures or 'the reference'}{altered}"


HEADER = f"    {'bundle':13} {'precision':9} {'flicker':>8} {'MB':>8} {'ms':>8} {'teacher':>8}  parity"
"""Over the rows: flicker beside the teacher's, size, and time on one thread beside the teacher's in the same run."""


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
    quantizer, inputs = Quantizer(student, run, reference), next(iter(student.held_out(run)))
    files, given = dict(variants), dict.fromkeys(variants, inputs)
    if teacher := student.teacher(inputs):
        files["teacher"], given["teacher"] = teacher
    times = milliseconds(files, given)
    beside = tuple(student.against_teacher(run, reference))
    flickers = [bound.seen for bound in beside if bound.what.startswith("flicker") and bound.limit is not None]
    for file in manifest["files"]:
        path, precision = folder / file["path"], file["precision"]
        parity = [] if path == reference else quantizer.judge(path)
        size = Bound("MB", path.stat().st_size / 1e6, LARGEST_BYTES / 1e6)
        yield Row(
            name,
            precision,
            (
                Bound("hash", float(sha256(path) == file["sha256"]), 1.0, at_most=False),
                *(
                    [Bound("MB", path.stat().st_size / 1e6, LARGEST_BYTES / 1e6)]
                    * (path.stat().st_size > LARGEST_BYTES)
                ),
                *parity,
            ),
            flicker=max(flickers) if flickers and path == reference else None,
            mb=size.seen,
            ms=times[precision],
            teacher_ms=times.get("teacher"),
        )
    if beside:
        yield Row(name, "student", beside)
