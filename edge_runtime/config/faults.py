"""What is wrong with a config, said in one line for people who never heard of the library that found it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from edge_runtime.config.base import redact
from edge_runtime.config.scenes import LAYER_KINDS

_TYPE_TAG = re.compile(r"constrained-|literal\[|list\[|(float|str|int|function-after)\b")
_TUPLES = {"crop": "four numbers, e.g. [0, 0, 1, 1]", "box": "four numbers, e.g. [0, 0, 1, 1]"} | dict.fromkeys(
    ("colour", "colours"), "red, green and blue, e.g. [255, 200, 0]"
)
_PAIR = "two numbers, e.g. [0, 10]"
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_-]*$": "small letters, digits, - and _",
    r"^[a-z0-9][a-z0-9_.-]*$": "small letters, digits, - _ and .",
    r"^[a-z0-9-]+$": "small letters, digits and -",
    r"^picture\.[a-z0-9_-]+$": "picture.NAME",
    r"^(/.*)?$": "a JSON pointer, e.g. /rain_mm_h",
    r"^mqtts?://[^/@\s]+$": "mqtt://HOST:PORT or mqtts://HOST:PORT; user and password come from the environment",
}
_KINDS_OF_VALUE = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that is not infinite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than": ("more than {}", "gt"),
    "greater_than_equal": ("at least {}", "ge"),
    "less_than": ("less than {}", "lt"),
    "less_than_equal": ("at most {}", "le"),
    "string_too_short": ("{} characters at least", "min_length"),
    "string_too_long": ("{} characters at most", "max_length"),
    "too_short": ("{} at least", "min_length"),
    "too_long": ("{} at most", "max_length"),
}


def first_line(error: ValidationError, config: type[BaseModel]) -> str:
    """One line for the first fault, without secrets: key, value, what was expected, the nearest known word for a typo.

    A message that begins with "." goes on where the key ends.
    """
    faults = error.errors()
    first = faults[0]
    steps = _steps(first["loc"])
    key = _spell(steps)
    message = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "extra_forbidden":  # its value is not shown: it may be a password in the wrong place
            hint = did_you_mean(str(steps[-1]), known_keys(config)) or "; remove it"
            return redact(f"{key}: no such key{hint}")
        case "missing" if steps and isinstance(steps[-1], int):
            return f"{_spell(steps[:-1])}: expected {_tuple(steps)}"
        case "missing":
            return f"{key}: is missing; it has no default"
        case "union_tag_invalid":
            tag = first["ctx"]["tag"]
            return redact(f"{key}.kind = {show(tag)}: {_expected_kind()}{did_you_mean(tag, LAYER_KINDS)}")
        case "union_tag_not_found":
            return f"{key}.kind: is missing; {_expected_kind()}"
        case "value_error":
            return redact(key + message if message.startswith(".") else f"{key}: {message}" if key else message)
    expected = dict.fromkeys(_expected(fault, steps) for fault in faults if _steps(fault["loc"]) == steps)
    return redact(f"{key} = {show(first['input'])}: expected {' or '.join(expected)}")


def show(value: object) -> str:
    """A value as it may be shown: short and without secrets."""
    text = redact(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint to the nearest known word; empty where none is near."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def known_keys(config: type[BaseModel]) -> list[str]:
    """Every key that any section has."""
    schema = config.model_json_schema()
    sections = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for section in sections for key in section.get("properties", {})})


def _expected(fault: Mapping[str, Any], steps: Sequence[int | str]) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "tuple_type" or (kind == "too_long" and context["field_type"] == "Tuple"):
        return _tuple(steps)
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return words.format(f"{context[name]:g}")
    message = str(fault["msg"])
    return _KINDS_OF_VALUE.get(kind) or message.removeprefix("Input should be ")


def _expected_kind() -> str:
    return f"expected {', '.join(LAYER_KINDS[:-1])} or {LAYER_KINDS[-1]}"


def _tuple(steps: Sequence[int | str]) -> str:
    key = next((step for step in reversed(steps) if isinstance(step, str)), "")
    if key.endswith("_px"):
        return "width and height, e.g. [640, 360]"
    return _TUPLES.get(key, _PAIR)


def _steps(loc: tuple[int | str, ...]) -> list[int | str]:
    """The keys of the file in a path, without the kind of a layer and without types among several."""
    return [
        step
        for i, step in enumerate(loc)
        if not (i >= 2 and loc[i - 2] == "layers") and not (isinstance(step, str) and _TYPE_TAG.match(step))
    ]


def _spell(steps: Sequence[int | str]) -> str:
    key = ""
    for step in steps:
        key += f"[{step}]" if isinstance(step, int) else f".{step}" if key else str(step)
    return key
