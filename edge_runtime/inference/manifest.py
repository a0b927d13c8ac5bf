"""Bundles: a folder with a model and the manifest that says what it is.

Reads files only, so that `edge-runtime check` needs neither onnxruntime nor a GPU. What a bundle promises here is
what a session checks at run time.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from edge_runtime.config import DeviceConfig, ModelConfig, RungConfig
from edge_runtime.config.base import Name, SignalName, SizePx, Strict
from edge_runtime.config.device import TrustConfig
from edge_runtime.errors import BundleError
from edge_runtime.inference.ports import find_fault

MANIFEST = "manifest.toml"
TaskName = Literal[
    "stylize", "backdrop", "matte", "people", "face", "prompt", "interpolate", "enlarge", "image", "passthrough"
]
Range = tuple[float, float]
Dtype = Literal["uint8", "int32", "int64", "float16", "float32"]
StyleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=40)]


class AssetSpec(Strict):
    """A file that the task reads beside the network: a vocabulary, a table."""

    path: str = Field(pattern=r"^\w[\w-]*([./]\w[\w-]*)*$", description="inside the bundle's folder")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class FileSpec(AssetSpec):
    """One variant of the network."""

    precision: Literal["fp32", "fp16", "int8", "int8-trt"] = Field(
        "fp32", description="int8: unsigned activations, for CPUs; int8-trt: symmetric, without biases, for TensorRT"
    )


class ParameterSpec(Strict):
    """What signals and commands may drive while the model runs."""

    name: SignalName
    type: Literal["number", "text"] = "number"
    range: Range = (0.0, 1.0)
    default: float | str = 0.0

    @model_validator(mode="after")
    def _fitting(self) -> "ParameterSpec":
        if isinstance(self.default, str) != (self.type == "text"):
            raise ValueError(f"default = {self.default!r} is no {self.type}")
        if not isinstance(self.default, str) and not self.range[0] <= self.default <= self.range[1]:
            raise ValueError(f"default = {self.default:g} is not within {self.range[0]:g} to {self.range[1]:g}")
        return self


class ReadingSpec(Strict):
    """What the model tells of what it saw; `[[signals]] model = "MODEL.READING"` puts it on the board."""

    name: SignalName
    range: Range = (0.0, 1.0)
    unit: str = ""


class TensorSpec(Strict):
    """One input or output of the network. A word in the shape is a size that may vary; the same word, the same size."""

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    range: tuple[float, float] | None = Field(
        None, description="of a picture: what black and white are; default: 0 to 1 for floats, else 0 to 255"
    )
    order: Literal["rgb", "bgr"] = Field("rgb", description="of a picture's channels, where task = 'image'")

    @field_validator("range")
    @classmethod
    def _apart(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits and not limits[0] < limits[1]:
            raise ValueError("the first number must be below the second")
        return limits

    def fits(self, shape: Sequence[int], dtype: str) -> bool:
        """Whether an array of this shape and dtype may go in."""
        pairs = zip(self.shape, shape, strict=False)
        return (
            dtype == self.dtype
            and len(shape) == len(self.shape)
            and all(isinstance(a, str) or a == b for a, b in pairs)
        )

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(str(size) for size in self.shape)}]"


class NullSpec(Strict):
    """What a network of no weights costs."""

    cost_ms: float = Field(ge=0, le=1000, description="processor time of one run")


class Manifest(Strict):
    """What a bundle holds and what it promises."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    version: str
    task: TaskName
    session: Literal["onnx", "null"] = "onnx"
    licence: str
    origin: str
    teacher: str
    size_multiple_px: int = Field(1, ge=1)
    min_size_px: SizePx
    max_size_px: SizePx
    styles: tuple[StyleName, ...] = Field(
        (), description="in the order of the network's style weights; the first is shown by default"
    )
    files: tuple[FileSpec, ...] = ()
    assets: tuple[AssetSpec, ...] = ()
    tunables: tuple[ParameterSpec, ...] = Field((), alias="parameters")
    readings: tuple[ReadingSpec, ...] = ()
    inputs: tuple[TensorSpec, ...] = Field(min_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    null: NullSpec | None = None
    quality: dict[str, float] = Field({})
    budget_ms: dict[str, float] = Field({})

    @model_validator(mode="after")
    def _whole(self) -> "Manifest":
        if self.session == "onnx" and not self.files:
            raise ValueError("session = 'onnx' needs at least one [[files]]")
        if self.session == "null" and (self.files or self.null is None):
            raise ValueError("session = 'null' needs [null] cost_ms and has no [[files]]")
        if self.task == "stylize" and not self.styles:
            raise ValueError("task = 'stylize' needs styles")
        numbers = [tunable.name for tunable in self.tunables if tunable.type == "number"]
        readings = [reading.name for reading in self.readings]
        if self.task == "image" and (fault := find_fault(self.inputs, self.outputs, numbers, readings)):
            raise ValueError(f"task = 'image': {fault}")
        for what, names in (
            ("styles", self.styles),
            ("parameters", [tunable.name for tunable in self.tunables]),
            ("readings", [reading.name for reading in self.readings]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"{what}: a name is there twice")
        return self

    @cached_property
    def parameters(self) -> Mapping[str, Range | None]:
        """What signals and commands may drive, with their range; None: a text."""
        styles: dict[str, Range | None] = {f"style.{style}": (0.0, 1.0) for style in self.styles}
        return styles | {spec.name: spec.range if spec.type == "number" else None for spec in self.tunables}

    @cached_property
    def defaults(self) -> Mapping[str, float | str]:
        """Every parameter's value where nothing drives it."""
        styles: dict[str, float | str] = {f"style.{style}": 0.0 for style in self.styles}
        return styles | {spec.name: spec.default for spec in self.tunables}

    def size_fault(self, size_px: tuple[int, int]) -> str | None:
        """Why the network cannot run at this size; None when it can."""
        multiple, smallest, largest = self.size_multiple_px, self.min_size_px, self.max_size_px
        if any(side % multiple for side in size_px):
            nearest = tuple(max(multiple, round(side / multiple) * multiple) for side in size_px)
            return f"width and height must be multiples of {multiple}, nearest {list(nearest)}"
        if any(side < least for side, least in zip(size_px, smallest, strict=True)):
            return f"at least {list(smallest)}"
        if any(side > most for side, most in zip(size_px, largest, strict=True)):
            return f"at most {list(largest)}"
        return None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose files are what its manifest says."""

    folder: Path
    manifest: Manifest

    def file(self, precision: str | None = None) -> Path:
        """The network's file of that precision; the first listed where none is asked for.

        Raises:
            BundleError: the bundle has no file of that precision.
        """
        for file in self.manifest.files:
            if precision in {None, file.precision}:
                return self.folder / file.path
        known = ", ".join(file.precision for file in self.manifest.files) or "none"
        raise BundleError(f"bundle {self.manifest.name!r}: no precision {precision!r}; known: {known}")


def open_bundle(name_or_path: str, folders: Sequence[Path], trust: TrustConfig | None = None) -> Bundle:
    """Find a bundle, read its manifest and compare every file with its hash.

    Args:
        name_or_path: a folder's name to look up in `folders`, in order, or a path (with a slash in it).
        folders: see `config.bundle_folders`.
        trust: whose signature it needs; None: nobody's.

    Raises:
        BundleError: it is missing, its manifest is wrong, a file is missing or altered, or it is not signed as asked.
    """
    path = _find(name_or_path, folders)
    try:
        content = path.read_bytes()
        if trust and trust.require_signed_models:
            from edge_runtime.trust.signing import require_signature

            require_signature(path.parent, content, trust.key_bytes)
        manifest = Manifest.model_validate(tomllib.loads(content.decode()))
    except ValidationError as error:
        raise BundleError(f"{path}: {_first_fault(error)}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    for file in (*manifest.files, *manifest.assets):
        _verify(path.parent / file.path, file.sha256)
    return Bundle(path.parent, manifest)


def _first_fault(error: ValidationError) -> str:
    """Key, value and what was expected; a key that nobody knows first, because it explains the one that is missing."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    key, message = ".".join(str(part) for part in faults[0]["loc"]), faults[0]["msg"].removeprefix("Value error, ")
    if not key or faults[0]["type"] == "missing":
        return f"{key}: is missing; it has no default" if key else message
    return f"{key} = {str(faults[0]['input'])[:60]!r}: {message}"


def _find(name_or_path: str, folders: Sequence[Path]) -> Path:
    candidates = [Path(name_or_path)] if os.sep in name_or_path else [folder / name_or_path for folder in folders]
    for candidate in candidates:
        if (candidate / MANIFEST).is_file():
            return candidate / MANIFEST
    looked = ", ".join(str(candidate.parent) for candidate in candidates) or "nowhere"
    known = sorted({path.parent.name for folder in folders for path in folder.glob(f"*/{MANIFEST}")})
    raise BundleError(
        f"no bundle {name_or_path!r} (a folder with {MANIFEST}) in {looked}; known: {', '.join(known) or 'none'}; "
        "name another folder with --models or EDGE_RUNTIME_MODELS"
    )


def _verify(path: Path, expected: str) -> None:
    try:
        seen = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(
            f"{path}: listed in {MANIFEST} and missing ({error.strerror}); copy the bundle again"
        ) from error
    if seen != expected:
        raise BundleError(
            f"{path}: sha256 {seen[:16]}... is not the {expected[:16]}... of {MANIFEST}: "
            "the file was altered or cut short; copy the bundle again"
        )


def check_bundles(config: DeviceConfig, folders: Sequence[Path]) -> list[str]:
    """What is wrong with the models of a config: bundles, sizes on every rung, parameters, precisions. Files only."""
    findings: list[str] = []
    for model in config.models:
        try:
            bundle = open_bundle(model.bundle, folders, config.trust)
            if model.precision:
                bundle.file(model.precision)
        except BundleError as error:
            findings.append(f"model {model.name!r}: {error}")
            continue
        findings += [f"model {model.name!r}: {fault}" for fault in find_faults(model, bundle.manifest, config)]
    return findings


def find_faults(model: ModelConfig, manifest: Manifest, config: DeviceConfig) -> list[str]:
    """Where a model's config and its bundle disagree: sizes on every rung, parameters and their values."""
    return [
        *_size_faults(model, manifest, config),
        *_parameter_faults(model, manifest),
        *_reading_faults(model, manifest, config),
    ]


def _size_faults(model: ModelConfig, manifest: Manifest, config: DeviceConfig) -> list[str]:
    faults = []
    for rung in (None, *config.ladder):
        size_px = model.size_px if rung is None else _rung_size_px(model, rung)
        key = "size_px" if rung is None else f"ladder {rung.name!r}: models.{model.name}.size_px"
        if fault := manifest.size_fault(size_px):
            faults.append(f"{key} = {list(size_px)} does not suit bundle {manifest.name!r}: {fault}")
        elif size_px[0] * size_px[1] > model.size_px[0] * model.size_px[1]:
            faults.append(f"{key} = {list(size_px)} is larger than the model's own size_px = {list(model.size_px)}")
    return faults


def _rung_size_px(model: ModelConfig, rung: RungConfig) -> SizePx:
    change = rung.models.get(model.name)
    return change.size_px if change and change.size_px else model.size_px


def _parameter_faults(model: ModelConfig, manifest: Manifest) -> list[str]:
    known = manifest.parameters
    listed = ", ".join(sorted(known)) or "none"
    faults = [
        f"{key}.{name!r} is no parameter of bundle {manifest.name!r}; known: {listed}"
        for key, names in (("set", model.set), ("bind", model.bind))
        for name in names
        if name not in known
    ]
    for name, value in model.set.items():
        limits = known.get(name)
        if name in known and isinstance(value, str) != (limits is None):
            faults.append(f"set.{name!r} = {value!r}: expected {'a text' if limits is None else 'a number'}")
        elif limits and not isinstance(value, str) and not limits[0] <= value <= limits[1]:
            faults.append(f"set.{name!r} = {value:g} is not within {limits[0]:g} to {limits[1]:g}")
    return faults


def _reading_faults(model: ModelConfig, manifest: Manifest, config: DeviceConfig) -> list[str]:
    known = [reading.name for reading in manifest.readings]
    return [
        f"signal {signal!r}: bundle {manifest.name!r} has no reading {reading!r}; known: {', '.join(known) or 'none'}"
        for reading, signal in config.readings(model.name).items()
        if reading not in known
    ]
