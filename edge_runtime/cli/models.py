"""`edge-runtime models`: which bundles are there, are they whole and right, engines for them, how fast are they?"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from edge_runtime.cli.local import default_folder
from edge_runtime.clock import now_s
from edge_runtime.config import DeviceConfig, ModelConfig, bundle_folders, load
from edge_runtime.errors import BundleError, ConfigError, EdgeError, SessionError
from edge_runtime.inference.engines import (
    EngineShelf,
    build_engine,
    check_parity,
    precision_for_engine,
    proof_inputs,
    shapes_text,
)
from edge_runtime.inference.ladder import TensorRtToolkit
from edge_runtime.inference.manifest import MANIFEST, Bundle, find_faults, open_bundle
from edge_runtime.inference.onnx import CPU, OnnxSession
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import Work, open_task
from edge_runtime.inference.tensorrt import Shape
from edge_runtime.memory import die_with_parent
from edge_runtime.slots import Array

_NICE = 10
"""A build takes what the show leaves."""
_WARM_UP_RUNS = 2
_SIZE_PX = (480, 272)
_TOLERANCE = {"fp32": 0.03, "fp16": 0.06, "int8": 0.6, "int8-trt": 0.6}
"""Of a variant beside the first one, for noise, which it was not made for: what is broken is off by more."""


def run(arguments: argparse.Namespace) -> int:
    """Exit code: 0, 1 where something is wrong with a bundle."""
    folders = bundle_folders(folder.resolve() for folder in arguments.models)
    actions: dict[str, Callable[[argparse.Namespace, list[Path]], int]] = {
        "list": _list,
        "verify": _verify,
        "build": _build,
        "bench": _bench,
    }
    return actions[arguments.action](arguments, folders)


def _names(folders: Sequence[Path]) -> list[str]:
    """Every bundle, the first of a name winning."""
    return sorted({path.parent.name for folder in folders for path in folder.glob(f"*/{MANIFEST}")})


def _list(arguments: argparse.Namespace, folders: list[Path]) -> int:
    rows: list[dict[str, Any]] = []
    wrong = False
    for name in arguments.names or _names(folders):
        try:
            bundle = open_bundle(name, folders)
        except BundleError as error:
            wrong = True
            print(f"edge-runtime: {error}", file=sys.stderr)
            continue
        manifest, folder = bundle.manifest, bundle.folder
        rows.append(
            {
                "name": manifest.name,
                "version": manifest.version,
                "task": manifest.task,
                "precisions": [file.precision for file in manifest.files],
                "mb": round(sum((folder / file.path).stat().st_size for file in manifest.files) / 1e6, 1),
                "licence": manifest.licence,
                "signed": (folder / f"{MANIFEST}.sig").exists(),
            }
        )
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        print(f"{'bundle':16} {'version':9} {'task':12} {'MB':>5}  {'licence':12} precisions")
        for row in rows:
            precisions = ", ".join(row["precisions"]) or "no network"
            columns = f"{row['name']:16} {row['version']:9} {row['task']:12} {row['mb']:5.1f}  {row['licence']:12}"
            print(f"{columns} {precisions}")
    return 1 if wrong else 0


def _verify(arguments: argparse.Namespace, folders: list[Path]) -> int:
    """Hashes, then every variant loaded and run beside the first one, on the CPU."""
    wrong = False
    for name in arguments.names or _names(folders):
        try:
            for line in _findings(open_bundle(name, folders)):
                print(f"ok    {name:16} {line}", flush=True)
        except EdgeError as error:
            wrong = True
            print(f"FAIL  {name:16} {error}", flush=True)
    return 1 if wrong else 0


def _findings(bundle: Bundle) -> Iterator[str]:
    manifest = bundle.manifest
    if manifest.session == "null":
        yield "no network; the manifest holds"
        return
    inputs = proof_inputs(manifest, shapes_seen(bundle, _size_for(bundle, _SIZE_PX)))
    expected: Mapping[str, Array] | None = None
    for file in manifest.files:
        with OnnxSession(bundle, precision=file.precision, providers=[CPU]) as session:
            outputs = session.run(inputs)
        if expected is None:
            expected = outputs
            yield f"{file.precision}: whole, runs"
            continue
        error = check_parity(f"{manifest.name} {file.precision}", expected, outputs, _TOLERANCE[file.precision])
        yield f"{file.precision}: whole, runs, off by {error:.3f} standard deviations on drawn inputs"


def _build(arguments: argparse.Namespace, folders: list[Path]) -> int:
    """Engines for a device config, or for one bundle."""
    os.nice(_NICE)
    if arguments.json:  # the ladder asks, and must not be outlived
        die_with_parent()
    target = str(arguments.names[0]) if arguments.names else ""
    if not target:
        raise ConfigError("models build needs a device config or a bundle, e.g. device_configs/laptop.toml or stylize")
    toolkit, made = TensorRtToolkit(), 0
    for bundle, precision, shapes, engines in _wanted(arguments, target, folders):
        shelf, tell = EngineShelf(engines), _teller(bundle, as_json=arguments.json)
        with shelf.building():
            start_s = now_s()
            tell(0.0)
            key = toolkit.key(bundle, precision_for_engine(bundle, precision), shapes)
            path, known = build_engine(bundle, key, shelf, tell)
        made += 1
        if not arguments.json:
            print(f"\r{path}: {'was there' if known else f'built in {now_s() - start_s:.1f} s'}", flush=True)
    return 0 if made else 1


def _teller(bundle: Bundle, *, as_json: bool) -> Callable[[float], None]:
    """Tells progress, each per cent once."""
    told = -1

    def tell(share: float) -> None:
        nonlocal told
        if int(100 * share) <= told:
            return
        told = int(100 * share)
        if as_json:
            print(json.dumps({"share": round(share, 2)}), flush=True)
        elif sys.stdout.isatty():
            print(f"\r{bundle.manifest.name}: {told} %", end="", flush=True)

    return tell


def _wanted(
    arguments: argparse.Namespace, target: str, folders: list[Path]
) -> Iterator[tuple[Bundle, str | None, str, Path]]:
    """Bundle, precision, shapes and shelf of every engine to build."""
    if target.endswith(".toml"):
        config = load(Path(target))
        engines = arguments.engines or default_folder("state", config.device_id) / "engines"
        for model in config.models:
            bundle = open_bundle(model.bundle, folders, config.trust)
            if bundle.manifest.session == "null" or model.backend in {"cpu", "cuda"}:
                continue
            if faults := find_faults(model, bundle.manifest, config):
                raise ConfigError(f"model {model.name!r}: {faults[0]}")
            given_px = _given(model, config)
            seen = {shapes_text(shapes_seen(bundle, size_px, given_px)) for size_px in _sizes(model, config)}
            for shapes in sorted(seen):
                yield bundle, model.precision, shapes, engines
        return
    bundle = open_bundle(target, folders)
    if arguments.engines is None:
        raise ConfigError("models build BUNDLE needs --engines DIR: the folder to put the engine into")
    shapes = arguments.shapes or shapes_text(shapes_seen(bundle, _size_for(bundle, arguments.size or _SIZE_PX)))
    yield bundle, arguments.precision, shapes, arguments.engines


def _sizes(model: ModelConfig, config: DeviceConfig) -> Iterator[tuple[int, int]]:
    yield model.size_px
    for rung in config.ladder:
        change = rung.models.get(model.name)
        if change and change.size_px:
            yield change.size_px


def _given(model: ModelConfig, config: DeviceConfig) -> tuple[int, int] | None:
    """The size of the pictures that a model is given first."""
    sizes = {f"camera.{camera.name}": camera.size_px for camera in config.cameras}
    sizes |= {upstream.output: upstream.size_px for upstream in config.models if upstream.output}
    return sizes.get(model.inputs[0]) if model.inputs else None


def _size_for(bundle: Bundle, wanted_px: tuple[int, int]) -> tuple[int, int]:
    """The size asked for, brought within what the bundle takes."""
    manifest = bundle.manifest
    multiple = manifest.size_multiple_px
    sides = [
        min(most, max(least, side)) // multiple * multiple
        for side, least, most in zip(wanted_px, manifest.min_size_px, manifest.max_size_px, strict=True)
    ]
    return sides[0], sides[1]


class _Recorder:
    """A session that remembers the shapes of its last inputs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.provider, self.engine, self.run_s = session.provider, "", 0.0
        self.shapes: dict[str, Shape] = {}

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        self.shapes = {name: array.shape for name, array in inputs.items()}
        return self._session.run(inputs)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shapes_seen(
    bundle: Bundle, size_px: tuple[int, int], given_px: tuple[int, int] | None = None
) -> Mapping[str, Shape]:
    """The shapes that the bundle's task gives its network at this size: asked of the task itself, on the CPU.

    Args:
        bundle: verified already.
        size_px: of the model.
        given_px: of the pictures it is given, where that is another.
    """
    model = ModelConfig(name="model", bundle=str(bundle.folder), input="camera.any", size_px=size_px, backend="cpu")
    task = open_task(model, bundle, size_px)
    recorder = _Recorder(task.session)
    task.session = recorder
    with recorder:
        (width, height), (wide, high) = size_px, given_px or size_px
        frame = np.full((high, wide, 3), 96, np.uint8)
        out = np.zeros((height, width, task.channels), np.uint8)
        task.run(Work([frame], dict(task.defaults), [0.0], 0.0), out)
    return recorder.shapes


def _bench(arguments: argparse.Namespace, folders: list[Path]) -> int:
    """Milliseconds of a run, the variants of a bundle taking turns; ratios hold where single figures do not."""
    rows: list[dict[str, Any]] = []
    for name in arguments.names or [n for n in _names(folders) if open_bundle(n, folders).manifest.session != "null"]:
        bundle = open_bundle(name, folders)
        if bundle.manifest.session == "null":
            raise SessionError(f"{name}: has no network to measure")
        size_px = _size_for(bundle, arguments.size or _SIZE_PX)
        sessions: dict[str, OnnxSession] = {
            file.precision: OnnxSession(bundle, precision=file.precision, threads=arguments.threads)
            for file in bundle.manifest.files
        }
        inputs = proof_inputs(bundle.manifest, shapes_seen(bundle, size_px))
        taken: dict[str, list[float]] = {precision: [] for precision in sessions}
        for number in range(arguments.runs + _WARM_UP_RUNS):
            for precision, session in sessions.items():
                session.run(inputs)
                if number >= _WARM_UP_RUNS:
                    taken[precision].append(1e3 * session.run_s)
        first = statistics.median(next(iter(taken.values())))
        for precision, ms in taken.items():
            row = {
                "bundle": name,
                "size_px": list(size_px),
                "precision": precision,
                "provider": sessions[precision].provider,
                "p50_ms": round(statistics.median(ms), 2),
                "p99_ms": round(float(np.percentile(ms, 99)), 2),
                "beside_first": round(statistics.median(ms) / first, 2),
            }
            rows.append(row)
            if not arguments.json:
                print(
                    f"{name:14} {size_px[0]:4}x{size_px[1]:<4} {precision:9} {row['provider']:22} "
                    f"p50 {row['p50_ms']:7.2f} ms  p99 {row['p99_ms']:7.2f} ms  x{row['beside_first']:.2f}",
                    flush=True,
                )
            sessions[precision].close()
    if arguments.json:
        print(json.dumps(rows, indent=2))
    return 0
