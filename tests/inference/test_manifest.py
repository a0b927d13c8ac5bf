from pathlib import Path
from typing import Any

import pytest

from edge_runtime.config import DeviceConfig, bundle_folders
from edge_runtime.errors import BundleError
from edge_runtime.inference.manifest import check_bundles, open_bundle
from tests.fixtures.bundles import write_copying, write_null, write_styled


def device(model: dict[str, Any], **sections: Any) -> DeviceConfig:
    return DeviceConfig.model_validate(
        {
            "device_id": "test",
            "signals": [{"name": "votes", "mqtt": "votes"}],
            "models": [{"name": "m", "size_px": [64, 48], **model}],
            "scenes": [{"name": "s", "layers": [{"kind": "fill"}]}],
            **sections,
        }
    )


def only_finding(folder: Path, model: dict[str, Any], **sections: Any) -> str:
    findings = check_bundles(device(model, **sections), [folder])
    assert len(findings) == 1, findings
    assert "\n" not in findings[0]
    return findings[0]


def test_every_bundle_that_ships_is_what_its_manifest_says() -> None:
    names = {path.parent.name for folder in bundle_folders() for path in folder.glob("*/manifest.toml")}
    assert {"null", "stylize"} <= names
    assert all(open_bundle(name, bundle_folders()).manifest.name == name for name in names)


def test_the_first_folder_that_has_the_bundle_wins(tmp_path: Path) -> None:
    near, far = write_null(tmp_path / "near"), write_null(tmp_path / "far")
    assert open_bundle("idle", [tmp_path / "empty", near.parent, far.parent]).folder == near


def test_a_bundle_may_be_named_by_its_path(tmp_path: Path) -> None:
    folder = write_copying(tmp_path)
    bundle = open_bundle(str(folder), [])
    assert bundle.file() == bundle.file("fp32") == folder / "model.onnx"


def test_a_missing_bundle_is_one_line_that_says_where_it_was_looked_for(tmp_path: Path) -> None:
    write_null(tmp_path)
    with pytest.raises(BundleError) as error:
        open_bundle("styleze", [tmp_path])
    assert all(word in str(error.value) for word in ("'styleze'", str(tmp_path), "known: idle", "--models"))
    assert "\n" not in str(error.value)


def test_an_altered_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    file = write_copying(tmp_path) / "model.onnx"
    file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(
        BundleError, match=r"model\.onnx: sha256 [0-9a-f]{16}\.\.\. is not the .* copy the bundle again"
    ):
        open_bundle("copying", [tmp_path])


def test_a_file_that_is_listed_and_missing_is_named(tmp_path: Path) -> None:
    (write_copying(tmp_path) / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: listed in manifest\.toml and missing"):
        open_bundle("copying", [tmp_path])


@pytest.mark.parametrize(
    ("was", "becomes", "words"),
    [
        ('task = "passthrough"', 'task = "pastrough"', "task = 'pastrough'"),
        ('teacher = "none"', 'techer = "none"', "techer = 'none'"),
        ('teacher = "none"', "", "teacher: is missing"),
        ('path = "model.onnx"', 'path = "../model.onnx"', "files.0.path = '../model.onnx'"),
        ('path = "model.onnx"', 'path = "/etc/passwd"', "files.0.path = '/etc/passwd'"),
        ('session = "onnx"', 'session = "null"', "cost_ms"),
        ("schema = 1", "schema = 2", "schema = '2'"),
        ("schema = 1", "schema = ", "cannot be read"),
    ],
)
def test_a_manifest_that_is_wrong_names_file_and_key(tmp_path: Path, was: str, becomes: str, words: str) -> None:
    path = write_copying(tmp_path) / "manifest.toml"
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, becomes))
    with pytest.raises(BundleError) as error:
        open_bundle("copying", [tmp_path])
    assert str(path) in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_config_that_suits_its_bundles_gives_no_finding(tmp_path: Path) -> None:
    write_styled(tmp_path)
    bind = {"style.negative": {"signal": "votes"}}
    config = device({"bundle": "styled", "set": {"style.plain": 0.5}, "bind": bind, "precision": "fp32"})
    assert check_bundles(config, [tmp_path]) == []


def test_check_names_a_missing_bundle(tmp_path: Path) -> None:
    assert "no bundle 'gone'" in only_finding(tmp_path, {"bundle": "gone"})


def test_check_names_a_precision_that_is_not_there(tmp_path: Path) -> None:
    write_copying(tmp_path)
    assert "no precision 'int8'; known: fp32" in only_finding(tmp_path, {"bundle": "copying", "precision": "int8"})


def test_check_names_a_size_that_is_no_multiple_and_the_nearest_that_is(tmp_path: Path) -> None:
    write_styled(tmp_path)
    finding = only_finding(tmp_path, {"bundle": "styled", "size_px": [63, 49]})
    assert "size_px = [63, 49]" in finding
    assert "multiples of 4, nearest [64, 48]" in finding


@pytest.mark.parametrize(
    ("size_px", "words"), [([66, 48], "multiples of 4"), ([4, 4], "at least [8, 8]"), ([128, 96], "larger than")]
)
def test_check_looks_at_every_rung(tmp_path: Path, size_px: list[int], words: str) -> None:
    write_styled(tmp_path)
    ladder = [{"name": "full"}, {"name": "light", "models": {"m": {"size_px": size_px}}}]
    finding = only_finding(tmp_path, {"bundle": "styled"}, ladder=ladder)
    assert "ladder 'light': models.m.size_px" in finding
    assert words in finding


@pytest.mark.parametrize("key", ["set", "bind"])
def test_check_names_a_parameter_that_is_not_there_and_those_that_are(tmp_path: Path, key: str) -> None:
    write_styled(tmp_path)
    value = 1.0 if key == "set" else {"signal": "votes"}
    finding = only_finding(tmp_path, {"bundle": "styled", key: {"style.negativ": value}})
    assert f"{key}.'style.negativ'" in finding
    assert "known: style.mirrored, style.negative, style.plain" in finding


def test_check_names_a_value_out_of_range(tmp_path: Path) -> None:
    write_styled(tmp_path)
    finding = only_finding(tmp_path, {"bundle": "styled", "set": {"style.plain": 1.5}})
    assert "set.'style.plain' = 1.5 is not within 0 to 1" in finding
