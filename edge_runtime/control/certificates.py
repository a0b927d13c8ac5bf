"""The certificates of the link to the broker: which are used, how long they hold, and which of them is to blame.

Renewed files are taken at the next connect, so that a box whose certificate had expired comes back by itself.
"""

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.config import Finding, MqttConfig
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from cryptography import x509

RENEW_WITHIN_DAYS = 30
"""A certificate that ends sooner is worth a warning."""
_DAY_S = 86400.0
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h
_NOT_YET = 9


@dataclass(frozen=True, slots=True)
class Certificate:
    """From when until when one certificate holds, in Unix seconds."""

    name: str
    """How to speak of it: its file, or whose it is."""
    begins_s: float
    ends_s: float

    def fault(self, now_unix_s: float) -> str | None:
        """Why it is of no use now; None when it is good."""
        if now_unix_s >= self.ends_s:
            return f"certificate {self.name} expired on {_day(self.ends_s)}; renew it"
        if now_unix_s < self.begins_s:
            clock = f"the clock of this machine says {_day(now_unix_s)}"
            return f"certificate {self.name} is good from {_day(self.begins_s)} on and {clock}; set the clock"
        return None

    def warning(self, now_unix_s: float) -> str | None:
        """Says so when it is about to end."""
        days = (self.ends_s - now_unix_s) / _DAY_S
        if 0 < days < RENEW_WITHIN_DAYS:
            return f"certificate {self.name} expires on {_day(self.ends_s)}, in {days:.0f} days; renew it"
        return None


class _Socket(ssl.SSLSocket):
    """Closes where the handshake fails: paho lets go of such a socket and leaves it to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in ssl
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Tls:
    """The TLS side of one connection. Used from the thread that connects.

    Raises:
        ConfigError: a certificate file cannot be used.
    """

    def __init__(self, config: MqttConfig) -> None:
        self._config = config
        self._taken: object = None
        try:
            self.context = ssl.create_default_context(cafile=config.ca_file)
            self.context.sslsocket_class = _Socket
            self.refresh()
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(_files(config)) or "the system's"
            raise ConfigError(f"mqtt: certificates ({files}) cannot be used: {error}") from error

    def refresh(self) -> None:
        """Take the files again when they changed.

        Raises:
            OSError: they cannot be used now; `ssl.SSLError` is one.
        """
        found = [(name, Path(name).stat().st_mtime_ns) for name in _files(self._config)]
        if found == self._taken:
            return
        if self._config.ca_file and self._taken is not None:
            self.context.load_verify_locations(self._config.ca_file)
        if self._config.cert_file:
            self.context.load_cert_chain(self._config.cert_file, self._config.key_file)
        self._taken = found


def certificate_fault(config: MqttConfig, now_unix_s: float) -> str | None:
    """Which of the link's own certificates is of no use now, and why; None when none is. Reads files only."""
    return next(filter(None, (certificate.fault(now_unix_s) for certificate in _own(config))), None)


def check_certificates(config: MqttConfig | None, now_unix_s: float) -> list[Finding]:
    """What is wrong with the link's own certificates, or soon will be: warnings, for a show runs without a broker.

    Reads files only.
    """
    if config is None:
        return []
    missing = [
        f"{name} is not on this machine: without it a box has no broker"
        for name in _files(config)
        if not Path(name).exists()
    ]
    faults = [each.fault(now_unix_s) or each.warning(now_unix_s) for each in _own(config)]
    return [Finding("warning", f"mqtt: {text}") for text in [*missing, *filter(None, faults)]]


def explain(config: MqttConfig, error: BaseException | None, now_unix_s: float) -> str:
    """Why the broker let us down, in one line: our own certificate, the broker's, or what the system says."""
    if fault := certificate_fault(config, now_unix_s):
        return fault
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return f"the certificate of the broker, {config.url}, has expired; renew it there"
        if error.verify_code == _NOT_YET:
            return f"the certificate of the broker, {config.url}, is not good yet: is the clock right on both sides?"
        authority = config.ca_file or "the system's authorities"
        return f"certificate verify failed: the broker's, by {authority}: {error.verify_message}"
    if error is None and config.cert_file:
        return f"the broker hung up before it let us in; does it know {config.cert_file}? Its log tells"
    return str(error or "the broker hung up before it let us in")


def fetch_certificate(config: MqttConfig, host: str, port: int, timeout_s: float) -> Certificate:
    """The certificate that the broker shows, whoever signed it and however old it is.

    Raises:
        OSError: nobody answers there, or not in TLS.
        ConfigError: our own files cannot be used.
    """
    from cryptography import x509

    context = Tls(config).context
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is looked at, not trusted
    with socket.create_connection((host, port), timeout=timeout_s) as plain, context.wrap_socket(plain) as link:
        return _period(f"of the broker, {config.url},", x509.load_der_x509_certificate(link.getpeercert(True) or b""))


def _own(config: MqttConfig) -> Iterator[Certificate]:
    """Our own certificate, and of the authorities that we trust the one that lasts longest."""
    if config.cert_file:
        yield from list(_read(config.cert_file))[:1]  # then come those that vouch for it
    if config.ca_file:
        yield from sorted(_read(config.ca_file), key=lambda each: each.ends_s)[-1:]


def _read(file: str) -> Iterable[Certificate]:
    """The certificates of a PEM file; none where it cannot be read: `Tls` says why."""
    from cryptography import x509

    with suppress(OSError, ValueError):
        return [_period(file, each) for each in x509.load_pem_x509_certificates(Path(file).read_bytes())]
    return []


def _period(name: str, certificate: "x509.Certificate") -> Certificate:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Certificate(name, begins.timestamp(), ends.timestamp())


def _files(config: MqttConfig) -> list[str]:
    return [name for name in (config.ca_file, config.cert_file, config.key_file) if name]


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
