"""The audit of the locked requirements, and the look for secrets, as the build runs them."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).parent.parent.parent
NOBODY = "http://127.0.0.1:9/"
"""The discard port: nobody listens there."""
KNOWN = {
    "id": "PYSEC-2099-1",
    "aliases": ["CVE-2099-0001"],
    "summary": "",
    "details": "invented",
    "modified": "2099-01-01T00:00:00Z",
    "published": "2099-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "paho-mqtt", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1.0"}]}],
        }
    ],
}
HIT = (
    "edge-runtime: audit: paho-mqtt 2.0.0: PYSEC-2099-1, CVE-2099-0001, fixed in 2.1.0; "
    'make lock ARGS="--upgrade-package paho-mqtt"'
)


class Osv(BaseHTTPRequestHandler):
    """Knows one vulnerability, in OSV's own words. Source: google.github.io/osv.dev/post-v1-query."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = (asked["package"]["name"], asked["version"]) == ("paho-mqtt", "2.0.0")
        body = json.dumps({"vulns": [KNOWN]} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join(5.0)


def audit(*argv: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, ROOT / ".ci/audit.py", *argv], capture_output=True, text=True, check=False)


def lock(folder: Path, *rows: str) -> Path:
    path = folder / "lock.txt"
    path.write_text("".join(f"{row} \\\n    --hash=sha256:{'0' * 64}\n" for row in rows))
    return path


def test_a_vulnerability_that_a_service_knows_fails_the_build(osv: str, tmp_path: Path) -> None:
    done = audit(
        "--osv", osv, lock(tmp_path, "paho-mqtt==2.0.0", "numpy==2.4.6", 'numpy==2.5.5 ; python_version > "3"')
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"edge-runtime: audit: {osv} answered for 3 of 3 locked requirements",
        HIT,
    ]
    assert audit("--osv", osv, lock(tmp_path, "paho-mqtt==2.1.0")).returncode == 0


def test_where_no_service_answers_the_table_judges_and_says_how_old_it_is(tmp_path: Path) -> None:
    done = audit("--osv", NOBODY, lock(tmp_path, "cryptography==41.0.0", "numpy==2.4.6"))
    assert done.returncode == 1
    first, source, *hits = done.stdout.splitlines()
    assert first.endswith("answered for 0 of 2 locked requirements")
    assert "advisory-database as of 20" in source
    assert source.endswith("what was found since is not known here")
    assert any(
        hit.startswith("edge-runtime: audit: cryptography 41.0.0: PYSEC-2023-254, CVE-2023-49083") for hit in hits
    )
    assert not [hit for hit in hits if "cryptography 41.0.0: " not in hit]


def test_a_package_that_nobody_can_judge_fails_the_build(tmp_path: Path) -> None:
    done = audit("--osv", NOBODY, lock(tmp_path, "left-pad==1.0"))
    assert done.returncode == 1
    assert "left-pad is not in advisories.json; --table-from CLONE" in done.stdout


def test_the_table_covers_every_locked_package_and_knows_nothing_bad_of_it() -> None:
    done = audit("--osv", NOBODY)
    assert done.returncode == 0, done.stdout


SECRETS = {  # put together from pieces, so that this file is not found itself
    "box.key": ("-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n", "Private Key"),
    "deploy.yml": ("access_key: AKIA" + "Z7QW2ERTY3UIOP4A\n", "AWS Access Key"),
    "device.toml": ('[mqtt]\nurl = "mqtts://box:' + 'tr0ub4dor@broker:8883"\n', "Basic Auth Credentials"),
    "vars.yml": ("broker_pass" + "word: tr0ub4dor-and-3\n", "Secret Keyword"),
    "upload.py": ('TOKEN = "ghp_' + 'abcdefghijklmnopqrstuvwxyz0123456789"\n', "GitHub Token"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_tracked_file_fails_the_build(name: str, tmp_path: Path) -> None:
    text, kind = SECRETS[name]

    def look() -> "subprocess.CompletedProcess[str]":
        return subprocess.run([ROOT / ".ci/secrets", tmp_path], capture_output=True, text=True, check=False)

    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "README.md").write_text("No secret here.\n")
    (tmp_path / name).write_text(text)
    subprocess.run(["git", "-C", tmp_path, "add", "README.md"], check=True)
    assert look().returncode == 0
    subprocess.run(["git", "-C", tmp_path, "add", name], check=True)
    done = look()
    assert done.returncode == 1
    assert kind in done.stderr
    assert name in done.stderr
