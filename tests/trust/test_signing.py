"""A device that requires signed models runs those that are signed by a key it trusts, and nothing else."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_runtime.__main__ import main
from edge_runtime.config.device import TrustConfig
from edge_runtime.errors import BundleError
from edge_runtime.inference.manifest import open_bundle
from export.signing import sign
from tests.fixtures.bundles import write_copying
from tests.fixtures.device import crew


def make_key(path: Path) -> Path:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)
    return path


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, str]:
    """A signed bundle and the public key in hexadecimal."""
    folder = write_copying(tmp_path)
    return folder, sign(folder, make_key(tmp_path / "key.pem"))


def trust(*keys: str) -> TrustConfig:
    return TrustConfig(require_signed_models=True, trusted_keys=list(keys))


def test_a_bundle_signed_by_a_trusted_key_opens(signed: tuple[Path, str]) -> None:
    folder, key = signed
    in_base64 = base64.b64encode(bytes.fromhex(key)).decode()
    for keys in ((key,), (in_base64,), ("00" * 31 + "01", key)):
        assert open_bundle(f"{folder}/", [], trust(*keys)).manifest.name == "copying"


def test_nothing_is_asked_where_the_device_does_not_ask(tmp_path: Path) -> None:
    folder = write_copying(tmp_path)
    assert open_bundle(f"{folder}/", [], TrustConfig()).manifest.name == "copying"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("unsigned", "is not signed"),
        ("another key", "fits none of the 1 trusted_keys"),
        ("an altered manifest", "fits none of the 1 trusted_keys"),
        ("an altered network", "sha256"),
        ("a cut signature", "expected 64"),
        ("a signature of letters", "is no signature"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, signed: tuple[Path, str], harm: str, words: str) -> None:
    folder, key = signed
    signature, manifest = folder / "manifest.toml.sig", folder / "manifest.toml"
    match harm:
        case "unsigned":
            signature.unlink()
        case "another key":
            sign(folder, make_key(tmp_path / "other.pem"))
        case "an altered manifest":
            manifest.write_text(manifest.read_text().replace("0.1.0", "0.1.1"))
        case "an altered network":
            (folder / "model.onnx").write_bytes(b"another")
        case "a cut signature":
            signature.write_bytes(signature.read_bytes()[:40])
        case _:
            signature.write_bytes("é not base64".encode())
    with pytest.raises(BundleError) as raised:
        open_bundle(f"{folder}/", [], trust(key))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("section", "code", "words"),
    [
        ('require_signed_models = true\ntrusted_keys = ["{key}"]', 2, "is not signed"),
        ("require_signed_models = true", 2, "needs trusted_keys"),
        ('trusted_keys = ["abcd"]', 2, "is no Ed25519 public key"),
        ("", 0, ""),
    ],
)
def test_check_tells_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str, code: int, words: str
) -> None:
    path = tmp_path / "device.toml"
    path.write_text(crew(end=f"[trust]\n{section.replace('{key}', '11' * 32)}\n"))
    assert main(["check", str(path)]) == code
    assert words in capsys.readouterr().err
