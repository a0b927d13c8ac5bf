"""Signed bundles: Ed25519 over manifest.toml, whose hashes cover every other file. The key stays with who signs."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_runtime.errors import BundleError

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
        signature = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError:
        raise BundleError(
            f"{folder}: is not signed ({SIGNATURE} is missing) and this device requires it: "
            "sign the bundle, or set trust.require_signed_models = false"
        ) from None
    except binascii.Error:
        raise BundleError(f"{path}: is no signature; sign the bundle again") from None
    if len(signature) != _SIGNATURE_BYTES:
        raise BundleError(f"{path}: is {len(signature)} bytes; expected {_SIGNATURE_BYTES}; sign the bundle again")
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, manifest)
        except InvalidSignature:
            continue
        return
    raise BundleError(
        f"{folder}: its signature fits none of the {len(keys)} trust.trusted_keys: "
        "manifest.toml was altered after signing, or somebody else signed it"
    )
