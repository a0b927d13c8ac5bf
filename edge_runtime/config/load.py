"""Reading and checking config files. Files only, never hardware: the same on a laptop, in CI and on the box."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_runtime.config.device import DeviceConfig
from edge_runtime.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
_TYPE_TAG = re.compile(r"constrained-|literal\[|list\[|(float|str|int|function-after)\b")
_MERGED_LISTS = ("cameras", "signals", "models", "scenes", "ladder")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` has to say about a config."""

    level: str
    text: str


def bundle_folders(extra: Iterable[Path] = ()) -> list[Path]:
    """Where bundles are looked up: `--models`, then EDGE_RUNTIME_MODELS, then the repository's models/."""
    from_environment = [Path(p) for p in os.environ.get("EDGE_RUNTIME_MODELS", "").split(os.pathsep) if p]
    return [*extra, *from_environment, REPOSITORY / "models"]


def load(path: Path) -> DeviceConfig:
    """Parse a device config and all it includes.

    Raises:
        ConfigError: naming the file, the key, the value and what was expected.
    """
    tree = _read(path, ())
    try:
        return DeviceConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_line(error)}") from error


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's tree with its includes merged in: lists are joined, the including file's own keys win."""
    path = path.resolve()
    if path in seen:
        raise ConfigError(f"{path}: includes itself by way of {seen[-1]}; remove one include")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; device configs are in {REPOSITORY / 'device_configs'}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    includes = tree.pop("include", [])
    if not isinstance(includes, list) or not all(isinstance(name, str) for name in includes):
        raise ConfigError(f"{path}: include = {includes!r}: expected a list of file names")
    merged: dict[str, Any] = {}
    for name in includes:
        _merge(merged, _read(path.parent / name, (*seen, path)))
    for section in _MERGED_LISTS:
        if section in tree and not isinstance(tree[section], list):
            raise ConfigError(f"{path}: {section} = {tree[section]!r}: expected [[{section}]] tables")
    _merge(merged, _absolute(tree, path.parent))
    return merged


def _merge(into: dict[str, Any], tree: dict[str, Any]) -> None:
    for key, value in tree.items():
        if key in _MERGED_LISTS and key in into:
            into[key] = [*into[key], *value]
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            into[key] = {**into[key], **value}
        else:
            into[key] = value


def _absolute(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Resolve the file names of a config against the folder it lies in."""
    replay = tree.get("replay")
    if isinstance(replay, dict) and isinstance(replay.get("file"), str):
        replay["file"] = str(folder / replay["file"])
    for camera in tree.get("cameras", []):
        source = camera.get("source") if isinstance(camera, dict) else None
        if isinstance(source, str) and source.startswith("file:"):
            camera["source"] = f"file:{folder / source.removeprefix('file:')}"
    layers = [layer for scene in tree.get("scenes", []) if isinstance(scene, dict) for layer in scene.get("layers", [])]
    for layer in layers:
        if isinstance(layer, dict) and isinstance(layer.get("font"), str):
            layer["font"] = str(folder / layer["font"])
    return tree


def _first_line(error: ValidationError) -> str:
    """One line for the first fault: key, value, what was expected, the nearest known key for a typo."""
    first = error.errors()[0]
    loc = [part for i, part in enumerate(first["loc"]) if not _is_tag(first["loc"], i)]
    key = ""
    for part in loc:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(loc[-1]), _known_keys(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "; remove it"
        return f"{key} = {first['input']!r}: no such key{hint}"
    if first["type"] == "missing":
        return f"{key}: is missing; it has no default"
    if first["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {_short(first['input'])}: {message}"


def _is_tag(loc: tuple[int | str, ...], i: int) -> bool:
    """Whether a step of pydantic's path is no key of the file: the kind of a layer, or a type among several."""
    before = loc[i - 2 : i]
    if len(before) == 2 and before[0] == "layers":
        return True
    return isinstance(loc[i], str) and bool(_TYPE_TAG.match(str(loc[i])))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _known_keys() -> list[str]:
    schema = DeviceConfig.model_json_schema()
    sections = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for section in sections for key in section.get("properties", {})})


def check(config: DeviceConfig) -> list[Finding]:
    """What is valid and still worth a word. Bundles are checked by `inference.manifest`, which knows them."""
    findings: list[Finding] = []
    if config.mqtt is None and config.replay is None and (fed := [s.name for s in config.signals if s.mqtt]):
        findings.append(
            Finding("warning", f"signals {', '.join(fed)} come by MQTT and there is no [mqtt]: fallbacks show")
        )
    if config.sun is None and any("sun." in str(scene.model_dump()) for scene in config.scenes):
        findings.append(Finding("warning", "a scene uses sun.* and there is no [sun] with the place: fallbacks show"))
    if not config.label.enabled:
        findings.append(Finding("warning", "the AI label is off: people are not told what they look at"))
    if config.replay and not Path(config.replay.file).is_file():
        findings.append(Finding("error", f"replay.file = {config.replay.file!r}: no such file"))
    for camera in config.cameras:
        kind, _, path = (camera.source or "").partition(":")
        if kind == "file" and not Path(path).is_file():
            text = f"camera {camera.name!r}: source = {camera.source!r}: no such file"
            findings.append(Finding("error", text))
    return findings
