"""Ed25519 signatures of bundles and releases: over one small file, whose hashes cover every other.

The private key stays with who signs. Standard library and cryptography only: a bare box installs its first release.
"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge_runtime.errors import BundleError, EdgeError

SIGNATURE = "manifest.toml.sig"
_SIGNATURE_BYTES = 64


def require_signature(folder: Path, manifest: bytes, keys: Sequence[bytes]) -> None:
    """Compare a bundle's signature with its manifest, as read.

    Args:
        folder: of the bundle; the signature lies beside the manifest, base64 in one line.
        manifest: the bytes that are then parsed, so that nothing changes in between.
        keys: public keys, 32 bytes each; one has to fit.

    Raises:
        BundleError: the signature is missing, cut short, by another key, or for another manifest.
    """
    path = folder / SIGNATURE
    try:
        text = path.read_bytes()
    except OSError:
        raise BundleError(
            f"{folder}: is not signed ({SIGNATURE} is missing) and this device requires it: "
            "sign the bundle, or set trust.require_signed_models = false"
        ) from None
    if fault := find_signature_fault(text, manifest, keys):
        raise BundleError(
            f"{path}: {fault}: manifest.toml was altered after signing, or somebody else signed; sign the bundle again"
        )


def find_signature_fault(text: bytes, signed: bytes, keys: Sequence[bytes]) -> str | None:
    """What is wrong with a signature; None where one of the public keys made it over exactly these bytes."""
    try:
        signature = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        return "is no signature in base64"
    if len(signature) != _SIGNATURE_BYTES:
        return f"is {len(signature)} bytes; expected {_SIGNATURE_BYTES}"
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
        except InvalidSignature:
            continue
        return None
    return f"fits none of the {len(keys)} trusted_keys"


def sign(signed: bytes, key_file: Path) -> tuple[bytes, str]:
    """Make a signature.

    Args:
        signed: what it is to cover.
        key_file: private key, PEM: `openssl genpkey -algorithm ed25519 -out signing.pem`.

    Returns:
        The signature, base64 in one line, and the public key in hexadecimal, for `trusted_keys` of the devices.

    Raises:
        EdgeError: the key cannot be read or is of another kind.
    """
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, TypeError, ValueError) as error:
        raise EdgeError(f"{key_file}: cannot be read as a private key in PEM without password: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EdgeError(f"{key_file}: is no Ed25519 key; type: openssl genpkey -algorithm ed25519 -out {key_file}")
    return base64.b64encode(key.sign(signed)) + b"\n", key.public_key().public_bytes_raw().hex()
