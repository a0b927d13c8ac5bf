"""Reading and checking config files. Files only, never hardware: the same on a laptop, in CI and on the box."""

import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_runtime.config.device import DeviceConfig
from edge_runtime.config.faults import first_line, show
from edge_runtime.config.scenes import TextConfig
from edge_runtime.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = next(place for place in (_PACKAGE / "device_configs", REPOSITORY / "device_configs") if place.is_dir())
"""The configs, scenes and recordings that we ship: inside an installed package, else in the repository."""

BOX_MODELS = Path("/opt/edge-runtime/models/current")
"""The models of a box that is kept by releases."""
_MERGED_LISTS = ("cameras", "signals", "models", "scenes", "ladder")
_MQTT_FILES = ("ca_file", "cert_file", "key_file", "password_file")
_FILES = {"replay": ("file",), "mqtt": _MQTT_FILES}
_DECLARED_TWICE = re.compile(r"Cannot declare \('(\w+)',\) twice")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` has to say about a config."""

    level: str
    text: str


def bundle_folders(extra: Iterable[Path] = ()) -> list[Path]:
    """Where bundles are looked up: `--models`, then EDGE_RUNTIME_MODELS, the repository's models/, those of the box."""
    from_environment = [Path(p) for p in os.environ.get("EDGE_RUNTIME_MODELS", "").split(os.pathsep) if p]
    return [*extra, *from_environment, REPOSITORY / "models", BOX_MODELS]


def load(path: Path) -> DeviceConfig:
    """Parse a device config and all it includes.

    Raises:
        ConfigError: naming the file, the key, the value and what was expected.
    """
    tree = _read(path, ())
    try:
        return DeviceConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_line(error, DeviceConfig)}") from error


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's tree with its includes merged in: lists are joined, the including file's own keys win.

    A table of a name that an include brought along changes that one, key by key, instead of being a second.
    """
    path = path.resolve()
    if path in seen:
        raise ConfigError(f"{path}: includes itself by way of {seen[-1]}; remove one include")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; device configs are in {SHIPPED}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}{_brackets(error)}") from error
    includes = tree.pop("include", [])
    if not isinstance(includes, list) or not all(isinstance(name, str) for name in includes):
        raise ConfigError(f"{path}: include = {show(includes)}: expected a list of file names")
    merged: dict[str, Any] = {}
    for name in includes:
        _merge(merged, _read(_found(path.parent, name), (*seen, path)))
    for section in _MERGED_LISTS:
        if section in tree and not isinstance(tree[section], list):
            raise ConfigError(f"{path}: {section} = {show(tree[section])}: expected [[{section}]] tables")
    own = _absolute(tree, path.parent)
    for section in _MERGED_LISTS:
        if section in own and section in merged:
            own[section] = _refine(merged[section], own[section])
    _merge(merged, own)
    return merged


def _found(folder: Path, name: str) -> Path:
    """A file that a config names: beside the config, else among those that we ship."""
    own, shipped = folder / name, SHIPPED / name
    return shipped if shipped.is_file() and not own.exists() else own


def _refine(included: list[Any], own: list[Any]) -> list[Any]:
    """Lay own tables over the included ones of the same name, in place; gives the own ones that are new.

    A name that is there twice in one file, or in two includes, stays twice, and is refused later.
    """
    names = [table.get("name") for table in own if isinstance(table, dict)]
    known = {str(table["name"]): table for table in included if isinstance(table, dict) and "name" in table}
    new = []
    for table in own:
        name = table.get("name") if isinstance(table, dict) else None
        if isinstance(name, str) and name in known and names.count(name) == 1:
            _lay_over(known[name], table)
        else:
            new.append(table)
    return new


def _brackets(error: tomllib.TOMLDecodeError) -> str:
    """The remedy for a section of which there may be many, written as if there were one."""
    twice = _DECLARED_TWICE.search(str(error))
    return f"; write [[{twice[1]}]], with two brackets" if twice and twice[1] in _MERGED_LISTS else ""


def _merge(into: dict[str, Any], tree: dict[str, Any]) -> None:
    for key, value in tree.items():
        if key in _MERGED_LISTS and key in into:
            into[key] = [*into[key], *value]
        else:
            _lay_over(into, {key: value})


def _lay_over(table: dict[str, Any], own: dict[str, Any]) -> None:
    """Own keys win; sections are laid over each other in turn, one level deep."""
    for key, value in own.items():
        old = table.get(key)
        table[key] = {**old, **value} if isinstance(value, dict) and isinstance(old, dict) else value


def _absolute(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Resolve the file names of a config against the folder it lies in."""
    for section, keys in _FILES.items():
        for table in _tables(tree, section):
            for key in keys:
                if isinstance(table.get(key), str):
                    table[key] = str(_found(folder, table[key]))
    for camera in _tables(tree, "cameras"):
        source = camera.get("source")
        if isinstance(source, str) and source.startswith("file:"):
            camera["source"] = f"file:{folder / source.removeprefix('file:')}"
    for model in _tables(tree, "models"):
        if isinstance(model.get("bundle"), str) and os.sep in model["bundle"]:
            model["bundle"] = str(folder / model["bundle"])
    for scene in _tables(tree, "scenes"):
        for layer in _tables(scene, "layers"):
            if isinstance(layer.get("font"), str):
                layer["font"] = str(folder / layer["font"])
    return tree


def _tables(tree: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """The tables of a section, one or many; nothing of what is wrong there."""
    found = tree.get(section)
    return [table for table in (found if isinstance(found, list) else [found]) if isinstance(table, dict)]


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
    findings += [
        Finding("error", f"{key} = {name!r}: no such file") for key, name in _files(config) if not Path(name).is_file()
    ]
    return findings


def _files(config: DeviceConfig) -> list[tuple[str, str]]:
    """Every file that must be there, with the key that names it."""
    files = [("replay.file", config.replay.file)] if config.replay else []
    files += [(f"mqtt.{key}", name) for key in _MQTT_FILES if (name := getattr(config.mqtt, key, None))]
    for i, camera in enumerate(config.cameras):
        if camera.source and camera.source.startswith("file:"):
            files.append((f"cameras[{i}].source", camera.source.removeprefix("file:")))
    for i, scene in enumerate(config.scenes):
        for j, layer in enumerate(scene.layers):
            if isinstance(layer, TextConfig) and layer.font:
                files.append((f"scenes[{i}].layers[{j}].font", layer.font))
    return files
