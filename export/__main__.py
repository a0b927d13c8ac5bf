"""`python -m export`: from pinned sources to verified bundles.

sources                 fetch and check everything that is pinned
distil NAME             train, or carry on, or say that it is done
onnx NAME               the fp32 network
quantize NAME           fp16 and int8, where they hold their bounds
tensorrt NAME           engines of every variant, as a proof that TensorRT takes it
verify [NAME ...]       one table; exit code 1 where a bound breaks
bundle NAME             manifest, hashes, figures
samples [NAME ...]      the sheet of pictures in a bundle's card, by what ships
gallery [SCENE ...]     every scene that ships, photographed while it runs, into docs/gallery.md
all [NAME ...]          every step of every student
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from edge_runtime.errors import EdgeError, SessionError
from edge_runtime.inference.tensorrt import library_name
from export.bundle import LARGE_FP32_BYTES, sha256, write_bundle
from export.errors import ExportError
from export.gallery import make_gallery
from export.quantize import FILES, Quantizer, check_fp16_weights
from export.run import Run
from export.samples import SHEET, make_samples
from export.signing import sign
from export.sources import all_sources, fetch
from export.students import NAMES, Bound, Student, open_student
from export.to_tensorrt import build_engines
from export.verify import HEADER, verify

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "models"
_FULL = 1.0
_JUDGED = "bounds.json"


def main(given: Sequence[str] | None = None) -> int:
    """Exit code: 0, 1 where verify found a broken bound, 2 where something could not be made."""
    arguments = _parser().parse_args(given)
    try:
        return _obey(arguments)
    except (ExportError, EdgeError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [name.replace("_", "-") for name in NAMES]
    parser.add_argument(
        "step",
        choices=("sources", "distil", "onnx", "quantize", "tensorrt", "bundle", "verify", "samples", "gallery", "all"),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"students: {', '.join(known)}; none: all")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--budget", type=float, default=_FULL, help="share of the full training; 0.002 proves the pipeline"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what was trained before with this seed and budget")
    parser.add_argument("--out", type=Path, default=SHIPPED, metavar="DIR", help="where bundles are (models/)")
    parser.add_argument("--key", type=Path, metavar="PEM", help="bundle, all: sign with this Ed25519 key")
    parser.add_argument(
        "--capability", action="append", default=[], metavar="N.N", help="tensorrt: compute capability, e.g. 8.6"
    )
    parser.add_argument("--json", action="store_true", help="verify: print JSON")
    return parser


def _obey(arguments: argparse.Namespace) -> int:
    _refuse_what_destroys(arguments)
    if arguments.step in _ALONE:
        for line in _ALONE[arguments.step](arguments):
            print(line, flush=True)
        return 0
    names = arguments.names or [name.replace("_", "-") for name in NAMES]
    students = [open_student(name) for name in names]
    given = {key: getattr(arguments, key) for key in ("seed", "device", "budget", "fresh")}
    runs = {name: Run.open(name, **given) for name in names}
    if arguments.step == "verify":
        return _verify(arguments, runs)
    for student in students:
        for step in _STEPS if arguments.step == "all" else (arguments.step,):
            _ACTIONS[step](student, runs[student.name], arguments)
    return _verify(arguments, runs) if arguments.step == "all" and arguments.budget == _FULL else 0


def _refuse_what_destroys(arguments: argparse.Namespace) -> None:
    if arguments.fresh and arguments.step not in {"distil", "all"}:
        raise ExportError(f"{arguments.step} trains nothing: --fresh belongs to distil and all")
    if arguments.budget != _FULL and arguments.step in {"bundle", "all"} and arguments.out == SHIPPED:
        raise ExportError(f"--budget {arguments.budget:g} makes no bundle to ship: name another folder with --out DIR")


def _sources(_: argparse.Namespace) -> Iterator[str]:
    for name, source in all_sources().items():
        fetch(name)
        yield f"{name:18} {source}  {source.licence}"


def _gallery(arguments: argparse.Namespace) -> Iterator[str]:
    yield from make_gallery(ROOT, arguments.names)


def _samples(arguments: argparse.Namespace) -> Iterator[str]:
    for name in arguments.names or sorted(path.parent.name for path in arguments.out.glob(f"*/{SHEET}")):
        yield str(make_samples(arguments.out, name))


def _verify(arguments: argparse.Namespace, runs: dict[str, Run]) -> int:
    rows = []
    if not arguments.json:
        print(HEADER)
    for row in verify(arguments.out, arguments.names, runs):
        rows.append(row)
        if not arguments.json:
            print(row, flush=True)
    if arguments.json:
        print(json.dumps([asdict(row) | {"holds": row.holds} for row in rows], indent=2))
    return 0 if all(row.holds for row in rows) else 1


def _distil(student: Student, run: Run, _: argparse.Namespace) -> None:
    for name in student.sources:
        fetch(name)
    with torch.device(run.device):
        student.distil(run)


def _onnx(student: Student, run: Run, _: argparse.Namespace) -> None:
    path = run.path(FILES["fp32"])
    _forget_variants(run)
    student.to_onnx(run, path)
    print(f"{student.name}: {path.name} {path.stat().st_size / 1e6:.2f} MB")


def _quantize(student: Student, run: Run, _: argparse.Namespace) -> None:
    quantizer = Quantizer(student, run, _network(run))
    measured: dict[str, Any] = {}
    _forget_variants(run)
    for precision in student.precisions:
        path = run.path(FILES[precision])
        bounds = quantizer.make(precision, path)
        held = all(bound.holds for bound in bounds)
        if held:
            measured[precision] = {"sha256": sha256(path), "bounds": [asdict(bound) for bound in bounds]}
        words = ", ".join(f"{bound.what} {bound.seen:.4g}" for bound in bounds)
        print(f"{student.name}: {precision} {'holds' if held else 'does not hold and is left out'}: {words}")
    run.path(_JUDGED).write_text(json.dumps(measured), encoding="utf-8")


def _tensorrt(student: Student, run: Run, arguments: argparse.Namespace) -> None:
    try:
        library_name()
    except SessionError as error:
        if arguments.step == "tensorrt":
            raise
        print(f"{student.name}: no engine is tried here: {error}")
        return
    for built in build_engines(student, run, _variants(run), arguments.capability):
        print(f"{student.name}: {built.precision} engine {built.mb:.2f} MB in {built.took_s:.1f} s by {built.by}")


def _bundle(student: Student, run: Run, arguments: argparse.Namespace) -> None:
    fp32, out, variants = _network(run), arguments.out, _variants(run)
    if fp32.stat().st_size > LARGE_FP32_BYTES:
        check_fp16_weights(fp32)
        del variants["fp32"]
    bounds = {precision: _judged(run, precision, path) for precision, path in variants.items() if precision != "fp32"}
    bounds["student"] = student.against_teacher(run, fp32)
    write_bundle(student, run, variants, out / student.name, bounds)
    print(f"{student.name}: {out / student.name} holds {', '.join(variants)}")
    if (SHIPPED / student.name / SHEET).exists():
        print(f"{student.name}: {make_samples(out, student.name)}")
    if arguments.key:
        public = sign(out / student.name, arguments.key)
        print(f"{student.name}: signed; trusted_keys = [{json.dumps(public)}]")


def _judged(run: Run, precision: str, path: Path) -> list[Bound]:
    """What was measured of a variant, of this very file."""
    stored = run.path(_JUDGED)
    of = json.loads(stored.read_text(encoding="utf-8")).get(precision) if stored.exists() else None
    if of is None or of["sha256"] != sha256(path):
        raise ExportError(f"{run.name}: nobody judged {path.name}; type: python -m export quantize {run.name}")
    return [Bound(**bound) for bound in of["bounds"]]


def _forget_variants(run: Run) -> None:
    """They were made of another fp32 file, or are about to be made again."""
    for name in (_JUDGED, *(name for precision, name in FILES.items() if precision != "fp32")):
        run.path(name).unlink(missing_ok=True)


def _variants(run: Run) -> dict[str, Path]:
    """The files that earlier steps left, by precision."""
    _network(run)
    return {precision: run.path(name) for precision, name in FILES.items() if run.path(name).exists()}


def _network(run: Run) -> Path:
    path = run.path(FILES["fp32"])
    if not path.exists():
        raise ExportError(f"{run.name}: {path.name} is not there; type: python -m export onnx {run.name}")
    return path


_ALONE = {"sources": _sources, "gallery": _gallery, "samples": _samples}
_ACTIONS = {"distil": _distil, "onnx": _onnx, "quantize": _quantize, "tensorrt": _tensorrt, "bundle": _bundle}
_STEPS = ("distil", "onnx", "quantize", "tensorrt", "bundle")

if __name__ == "__main__":
    sys.exit(main())
