"""Bundles: the variants that held, a manifest with their hashes and figures, and the figures in CARD.md."""

import hashlib
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from export.errors import ExportError
from export.quantize import FILES
from export.run import Run
from export.students import Arrays, Bound, Student
from export.to_onnx import open_network, run_network

LARGEST_BYTES = 10_000_000
LARGE_FP32_BYTES = 5_000_000
"""A larger fp32 file is left out, and fp16's weights have to be the very same numbers."""
LARGEST_TOGETHER_BYTES = 40_000_000
_BEGIN, _END = "<!-- figures: made by python -m export bundle -->", "<!-- end of figures -->"
_RUNS = 15
_SHIPPED = Path(__file__).parent.parent / "models"


def write_bundle(
    student: Student, run: Run, variants: Mapping[str, Path], folder: Path, bounds: Mapping[str, Sequence[Bound]]
) -> None:
    """Copy the variants and write manifest.toml and the figures of CARD.md.

    Args:
        student: whose they are.
        run: where calibration and held-out inputs come from.
        variants: precision to file; all have held their bounds.
        folder: of the bundle; made where it is not there.
        bounds: precision to what was measured; of the student itself under "student".

    Raises:
        ExportError: a file is too large, or a bound does not hold.
    """
    if run.budget == 1 and (broken := [bound for bound in bounds.get("student", ()) if not bound.holds]):
        raise ExportError(f"{student.name}: {broken[0].what} {broken[0].seen:.4g} breaks {broken[0].limit:g}")
    folder.mkdir(parents=True, exist_ok=True)
    for precision, path in variants.items():
        if path.stat().st_size > LARGEST_BYTES:
            raise ExportError(f"{student.name}: {path.name} is {path.stat().st_size / 1e6:.1f} MB; at most 10 MB ship")
        if broken := [bound for bound in bounds.get(precision, ()) if not bound.holds]:
            raise ExportError(
                f"{student.name} {precision}: {broken[0].what} {broken[0].seen:.4g} breaks {broken[0].limit:g}"
            )
        shutil.copyfile(path, folder / FILES[precision])
    for precision, name in FILES.items():
        if precision not in variants:
            (folder / name).unlink(missing_ok=True)
    manifest = dict(student.manifest())
    late: dict[str, Any] = {
        key: manifest.pop(key) for key in ("assets", "parameters", "readings", "inputs", "outputs") if key in manifest
    }
    files = [
        {"path": FILES[precision], "precision": precision, "sha256": sha256(folder / FILES[precision])}
        for precision in FILES
        if precision in variants
    ]
    for asset in late.get("assets", []):
        shutil.copyfile(run.path(asset["path"]), folder / asset["path"])
        asset["sha256"] = sha256(folder / asset["path"])
    times = milliseconds(
        {precision: folder / FILES[precision] for precision in variants},
        dict.fromkeys(variants, next(iter(student.held_out(run)))),
    )
    quality = {
        _key(precision, bound): round(float(bound.seen), 5)
        for precision, measured in bounds.items()
        for bound in measured
        if np.isfinite(bound.seen)
    }
    whole: dict[str, Any] = {
        "schema": 1, **manifest, "files": files, **late, "quality": quality,
        "budget_ms": {f"x86-64 1 thread {precision}": round(ms, 1) for precision, ms in times.items()},
    }  # fmt: skip
    (folder / "manifest.toml.sig").unlink(missing_ok=True)  # it was for another manifest
    (folder / "manifest.toml").write_text(tomli_w.dumps(whole), encoding="utf-8")
    _write_figures(folder, variants, bounds, times)


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def milliseconds(files: Mapping[str, Path], inputs: Mapping[str, Arrays]) -> dict[str, float]:
    """Shortest run on one thread, the files taking turns: whatever else the machine does only makes a run longer.

    Args:
        files: networks by name.
        inputs: of each, by the same name.
    """
    networks = {name: open_network(path) for name, path in files.items()}
    taken: dict[str, list[float]] = {name: [] for name in files}
    for number in range(_RUNS + 2):
        for name, network in networks.items():
            start_s = time.perf_counter()
            run_network(network, inputs[name])
            if number >= 2:
                taken[name].append((time.perf_counter() - start_s) * 1e3)
    return {name: min(values) for name, values in taken.items()}


def _key(precision: str, bound: Bound) -> str:
    return re.sub(r"[^a-z0-9]+", "_", f"{precision} {bound.what}".lower()).strip("_")


def _write_figures(
    folder: Path, variants: Mapping[str, Path], bounds: Mapping[str, Sequence[Bound]], times: Mapping[str, float]
) -> None:
    card, shipped = folder / "CARD.md", _SHIPPED / folder.name / "CARD.md"
    if not card.exists() and shipped.exists():  # a rebuild into another folder says the same of whose work it is
        shutil.copyfile(shipped, card)
    if not card.exists():
        raise ExportError(
            f"{card} is missing: who trained what on which data under which licence has to be written first"
        )
    fastest = times[next(iter(times))]
    rows = [
        f"| {precision} | {(folder / FILES[precision]).stat().st_size / 1e6:.2f} MB | "
        f"{times[precision] / fastest:.2f} | "
        + (", ".join(f"{bound.what} {bound.seen:.4g}" for bound in bounds.get(precision, ())) or "the reference")
        + " |"
        for precision in variants
    ]
    others = [f"* {bound.what}: {bound.seen:.4g}" for bound in bounds.get("student", ())]
    table = "\n".join(
        [
            "| precision | size | time, 1 thread, first = 1 | held-out inputs, beside fp32 |",
            "| --- | --- | --- | --- |",
            *rows,
            *(["", *others] if others else []),
        ]
    )
    text = card.read_text(encoding="utf-8")
    if _BEGIN not in text or _END not in text:
        raise ExportError(f"{card}: has no place for the figures: put {_BEGIN!r} and {_END!r} where they belong")
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    card.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", encoding="utf-8")


def fault_of_all(models: Path) -> str | None:
    """Why what is in `models` may not ship together; None when it may."""
    total = sum(path.stat().st_size for path in models.rglob("*") if path.suffix == ".onnx")
    if total > LARGEST_TOGETHER_BYTES:
        return f"the networks in {models} are {total / 1e6:.1f} MB together; at most 40 MB ship"
    return None


def variants_in(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """Precision to file of a bundle that is there."""
    return {file["precision"]: folder / file["path"] for file in manifest.get("files", [])}
