"""`edge-runtime metrics`: a box's figures for Prometheus, over HTTP.

A process of its own, outside the show: a scrape costs the supervisor one small message, at most one a second, and a
show that is down or stuck is told as such, never waited for.
"""

import argparse
import contextlib
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import WSGIApplication

from prometheus_client import CollectorRegistry, Metric, generate_latest, make_wsgi_app

from edge_runtime.cli.local import control_path
from edge_runtime.clock import now_s
from edge_runtime.control.local import request
from edge_runtime.errors import EdgeError
from edge_runtime.metrics import Release, of_box, of_show
from edge_runtime.release.archive import TRACKS
from edge_runtime.release.shelf import Shelf

ANSWER_S = 2.0
"""A supervisor that is silent for longer is stuck. Prometheus itself gives up after 10 s."""
EVERY_S = 1.0
CLIENT_S = 5.0
"""Who connects and asks nothing is sent away."""


def run(arguments: argparse.Namespace) -> int:
    """Serve until ended, or print once."""
    registry = CollectorRegistry()
    registry.register(Box(arguments.device, arguments.root, arguments.certificates))
    if arguments.once:
        print(generate_latest(registry).decode(), end="")
        return 0
    current = Shelf(arguments.root, "runtime")
    began_as = current.linked("current")
    with _listen(arguments.listen, make_wsgi_app(registry)) as server:
        while current.linked("current") == began_as:  # the service goes on as the release that came
            server.handle_request()
    return 0


class Box:
    """What is scraped: the show's statistics, the releases, the certificates. Used from the server's one thread."""

    def __init__(self, device: str | None, root: Path, certificates: Path) -> None:
        self._device, self._root, self._certificates = device, root, certificates
        self._families: list[Metric] = []
        self._asked_s: float | None = None
        self._fault: str | None = None

    def collect(self) -> Iterable[Metric]:
        """The metrics of this second."""
        if self._asked_s is None or now_s() - self._asked_s >= EVERY_S:
            self._families = [
                *of_show(self._ask()),
                *of_box(find_releases(self._root), certificate_ends(self._certificates)),
            ]
            self._asked_s = now_s()
        return self._families

    def _ask(self) -> dict[str, Any] | None:
        """The statistics object, None where nobody answers in time; why is said once on stderr."""
        fault = None
        told: Any = None
        try:
            told = request(control_path(self._device), "status", timeout_s=ANSWER_S)
            if "schema" not in told:
                fault = str(told.get("reason"))
        except EdgeError as error:
            fault = str(error)
        if fault != self._fault:
            print(f"edge-runtime: metrics: {fault or 'the show answers'}", file=sys.stderr, flush=True)
            self._fault = fault
        return told if fault is None else None


def find_releases(root: Path) -> Iterator[Release]:
    """Releases that links name, and those that were rejected. Reads files only."""
    for track in TRACKS:
        shelf = Shelf(root, track)
        for link in ("current", "proven"):
            if (release := shelf.linked(link)) is not None:
                yield Release(track, release.name, link=link)
        for note in sorted((shelf.folder / "rejected").glob("*.json")):
            with contextlib.suppress(OSError):  # it was tried again, and is good now
                yield Release(track, note.stem, rejected_s=note.stat().st_mtime)


def certificate_ends(folder: Path) -> dict[str, float]:
    """When the certificates in a folder end, in Unix seconds; of several authorities the one that lasts longest."""
    from cryptography import x509

    ends_s = {}
    for path in sorted(folder.glob("*.crt")):
        with contextlib.suppress(OSError, ValueError):  # `check` and the hub say what is wrong with it
            found = [
                each.not_valid_after_utc.timestamp() for each in x509.load_pem_x509_certificates(path.read_bytes())
            ]
            ends_s[path.name] = max(found) if path.stem == "ca" else found[0]  # then come those that vouch for it
    return ends_s


class _Quiet(WSGIRequestHandler):
    """Logs no scrape, and waits for no client."""

    timeout: ClassVar[float] = CLIENT_S

    def log_message(self, *_: object) -> None:
        """A scrape is no event."""


class _Server6(WSGIServer):
    address_family = socket.AF_INET6


def _listen(address: str, app: WSGIApplication) -> WSGIServer:
    """A server on HOST:PORT, [HOST]:PORT for IPv6.

    Raises:
        EdgeError: there is no such address, or it is taken.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal():
        raise EdgeError(f"--listen {address}: expected HOST:PORT, e.g. 127.0.0.1:9469 or [::]:9469")
    kind = _Server6 if ":" in host else WSGIServer
    try:
        return make_server(host, int(port), app, server_class=kind, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        raise EdgeError(f"--listen {address}: {error}; choose an address of this machine and a free port") from error
