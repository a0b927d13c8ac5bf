"""Signatures of bundles: made here, judged on the device by edge_runtime/trust/signing.py."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from export.errors import ExportError


def sign(folder: Path, key_file: Path) -> str:
    """Write manifest.toml.sig; returns the public key in hexadecimal, for `trust.trusted_keys` of the devices.

    Args:
        folder: of a bundle whose manifest is final: its hashes are what the signature covers.
        key_file: private key, PEM: `openssl genpkey -algorithm ed25519 -out signing.pem`.

    Raises:
        ExportError: the key cannot be read or is of another kind.
    """
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, TypeError, ValueError) as error:
        raise ExportError(f"{key_file}: cannot be read as a private key in PEM without password: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ExportError(f"{key_file}: is no Ed25519 key; type: openssl genpkey -algorithm ed25519 -out {key_file}")
    signature = key.sign((folder / "manifest.toml").read_bytes())
    (folder / "manifest.toml.sig").write_bytes(base64.b64encode(signature) + b"\n")
    return key.public_key().public_bytes_raw().hex()
