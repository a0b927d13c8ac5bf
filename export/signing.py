"""Signed bundles: made here, judged on the device by edge_runtime/trust/signing.py."""

from pathlib import Path

from edge_runtime.trust import signing


def sign(folder: Path, key_file: Path) -> str:
    """Write manifest.toml.sig; returns the public key in hexadecimal, for `trust.trusted_keys` of the devices.

    Args:
        folder: of a bundle whose manifest is final: its hashes are what the signature covers.
        key_file: private key, PEM: `openssl genpkey -algorithm ed25519 -out signing.pem`.

    Raises:
        EdgeError: the key cannot be read or is of another kind.
    """
    signature, public_key = signing.sign((folder / "manifest.toml").read_bytes(), key_file)
    (folder / signing.SIGNATURE).write_bytes(signature)
    return public_key
