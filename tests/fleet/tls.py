"""A certificate authority of one test: it signs what it is asked to, also what is out of date."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_runtime.clock import wall_s
from edge_runtime.config import MqttConfig


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of one certificate."""

    certificate: Path
    key: Path


class Authority:
    """An authority with a folder of its own; `ca.crt` in it is what everybody trusts."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        """With `key`, it goes on as the one that made the folder's `ca.crt`."""
        self.folder, self.file = folder, folder / "ca.crt"
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        if key is not None:
            self._name = x509.load_pem_x509_certificate(self.file.read_bytes()).subject
            return
        _write_key(folder / "ca.key", self._key)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Venue CA")])
        lasting = _builder(self._name, self._key.public_key(), days=3650).issuer_name(self._name)
        own = lasting.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    @classmethod
    def adopt(cls, folder: Path) -> Self:
        """The authority of a folder with `ca.key` and `ca.crt`."""
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(folder, key)

    def issue(self, name: str, *, days: float = 90.0, server: bool = False) -> Identity:
        """Files for the common name; `days` from now it ends, which may be in the past. A server's is for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, key.public_key(), days=days).issuer_name(self._name)
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if server:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        identity = self.identity(name)
        identity.certificate.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        _write_key(identity.key, key)
        return identity

    def identity(self, name: str) -> Identity:
        """The files of a name."""
        return Identity(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def link(self, url: str, identity: Identity | None) -> MqttConfig:
        """What a client needs to talk to a broker as somebody, or as nobody."""
        files = {"cert_file": str(identity.certificate), "key_file": str(identity.key)} if identity else {}
        return MqttConfig(url=url, ca_file=str(self.file), **files)


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: float) -> x509.CertificateBuilder:
    ends = datetime.fromtimestamp(wall_s(), UTC) + timedelta(days=days)
    begins = min(ends, datetime.fromtimestamp(wall_s(), UTC)) - timedelta(days=30)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key).serial_number(x509.random_serial_number())
    return builder.not_valid_before(begins).not_valid_after(ends)
