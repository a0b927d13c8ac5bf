"""The role `observability` on a Debian that is booted then: exporters, shut in, beside a show that comes and goes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.device import REPOSITORY, crew
from tests.fixtures.exporter import with_releases
from tests.fixtures.waiting import eventually
from tests.fleet.boot import Box
from tests.fleet.rootfs import Root, Stack, layered, lent, outfitted
from tests.fleet.tls import Authority

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300), pytest.mark.usefixtures("box_mounts")]

LOCK = REPOSITORY / "edge_runtime/release/locks/cpu.txt"
UNITS = ("edge-runtime-metrics.service", "prometheus-node-exporter.service")
METRICS, NODE = UNITS
SHOW = "edge-runtime.service"
PROGRAM = "/opt/edge-runtime/runtime/current/bin/edge-runtime"
LAUNCHER = '#!/bin/sh\nPYTHONPATH=/opt/source exec /opt/environment/bin/python -m edge_runtime "$@"\n'
MONITOR, STRANGER = "10.20.30.40", "10.20.30.41"
EXPOSURE = 2.0
SCRAPE = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3, source_address=(sys.argv[1], 0)) as asked:
    asked.sendall(b"GET /metrics HTTP/1.0\\r\\n\\r\\n")
    with asked.makefile() as answer:
        print(answer.read())
"""


def locked() -> Stack:
    """What the product needs of PyPI, exactly as a release would install it."""

    def change(root: Root) -> None:
        shutil.copy(LOCK, root.path / "srv/lock.txt")
        root.run("python3", "-m", "venv", "/opt/environment")
        root.run("/opt/environment/bin/pip", "install", "-q", "--require-hashes", "-r", "/srv/lock.txt")

    return layered("locked", outfitted(), (LOCK.read_text(),), change)


def provision(root: Root, folder: Path) -> int:
    """Run the role on the root; how much it changed."""
    here = {"ansible_connection": "community.general.chroot", "ansible_host": root.path}
    (folder / "inventory").write_text(" ".join(["box", *(f"{name}={value}" for name, value in here.items())]))
    (folder / "play.yml").write_text("- {hosts: box, roles: [observability]}\n")
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory", "play.yml"]
    argv += ["-e", f'{{"observability_scrapers": ["{MONITOR}"]}}']
    environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(REPOSITORY / "ansible/roles"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (changed,) = re.findall(r"^box .* changed=(\d+) ", done.stdout, re.MULTILINE)
    return int(changed)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("exporter")
    with lent(locked(), folder / "root") as root:
        for name in ("edge_runtime", "device_configs", "models/null"):
            shutil.copytree(REPOSITORY / name, root.path / "opt/source" / name)
        with_releases(root.path / "opt/edge-runtime")
        program = root.path / PROGRAM.removeprefix("/")
        program.parent.mkdir()
        program.write_text(LAUNCHER)
        program.chmod(0o755)
        tls = root.path / "etc/edge-runtime/tls"
        tls.mkdir(parents=True)
        (tls.parent / "device.toml").write_text(crew())
        (tls.parent / "environment").write_text("EDGE_RUNTIME_MQTT_PASSWORD=s3cret\n")
        Authority(tls).issue("box")
        root.run("chown", "-R", "root:edge", "/etc/edge-runtime")
        root.run("chmod", "0640", "/etc/edge-runtime/tls/box.key", "/etc/edge-runtime/environment")
        with root.online():
            assert provision(root, folder) > 0
            assert provision(root, folder) == 0
        with Box(root) as running:
            for address in (MONITOR, STRANGER):
                subprocess.run(running.in_network("ip", "address", "add", f"{address}/32", "dev", "lo"), check=True)
            eventually(lambda: scrape(running) and scrape(running, port=9100), 10.0, "both exporters answer")
            yield running


def scrape(box: Box, address: str = "127.0.0.1", port: int = 9469) -> str:
    """What one who asks from this address is told; empty where he gets no answer."""
    return box.run("python3", "-c", SCRAPE, address, str(port), check=False).stdout


def test_both_exporters_run_from_boot_on_and_systemd_finds_no_fault(box: Box) -> None:
    for unit in UNITS:
        assert box.systemctl("is-active", unit).stdout == "active\n"
    assert box.run("systemd-analyze", "verify", "--man=no", METRICS).stderr == ""
    verdict = box.run("systemd-analyze", "security", "--no-pager", METRICS).stdout
    assert float(verdict.rpartition(f"level for {METRICS}: ")[2].split()[0]) <= EXPOSURE


def test_the_exporter_tells_of_a_show_that_is_down_up_and_down_again(box: Box) -> None:
    assert "\nedge_runtime_up 0.0\n" in scrape(box)
    folders = [f"--property={kind}Directory=edge-runtime" for kind in ("Runtime", "State", "Cache")]
    run = [PROGRAM, "run", "/etc/edge-runtime/device.toml", "--headless"]
    box.run("systemd-run", "--quiet", f"--unit={SHOW}", "--uid=edge", *folders, *run)
    eventually(lambda: "\nedge_runtime_up 1.0\n" in scrape(box), 10.0, "the show is told as up")
    told = eventually(lambda: text if "frames_presented" in (text := scrape(box)) else "", 20.0, "frames are told")
    assert '\nedge_runtime_device_info{device="crew",' in told
    box.systemctl("stop", SHOW)
    eventually(lambda: "\nedge_runtime_up 0.0\n" in scrape(box), 5.0, "the show is told as down")


def test_the_exporter_reads_releases_and_certificates_and_no_secret(box: Box) -> None:
    told = scrape(box)
    assert '\nedge_runtime_release_info{link="current",release="7",track="models"} 1.0\n' in told
    assert '\nedge_runtime_certificate_expiry_timestamp_seconds{file="box.crt"} ' in told
    inside = [
        "nsenter",
        "--target",
        box.show(METRICS, "MainPID"),
        "--mount",
        "--setuid",
        box.run("id", "-u", "edge").stdout.strip(),
    ]
    for secret in ("/etc/edge-runtime/tls/box.key", "/etc/edge-runtime/environment"):
        assert box.run("setpriv", "--reuid=edge", "--regid=edge", "--init-groups", "cat", secret).stdout != ""
        refused = box.run(*inside, "cat", secret, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")


@pytest.mark.parametrize("port", [9469, 9100])
def test_a_monitoring_host_is_answered_and_a_stranger_is_not(box: Box, port: int) -> None:
    assert "# TYPE" in scrape(box, MONITOR, port)
    assert scrape(box, STRANGER, port) == ""


def test_the_exporter_of_the_machine_tells_what_alerts_need_and_little_more(box: Box) -> None:
    told = scrape(box, port=9100)
    assert "\nnode_timex_sync_status " in told
    assert "\nnode_filesystem_readonly{" in told
    assert len(told.splitlines()) < 1000


def test_the_exporter_comes_back_as_the_release_that_was_put_in_place(box: Box) -> None:
    before = box.show(METRICS, "MainPID")
    runtime = box.root.path / "opt/edge-runtime/runtime"
    shutil.copytree(runtime / "releases/1.1.0", runtime / "releases/1.3.0")
    (runtime / "next").symlink_to("releases/1.3.0")
    (runtime / "next").rename(runtime / "current")
    assert scrape(box) != ""
    eventually(lambda: box.show(METRICS, "MainPID") not in {before, "0"}, 10.0, "it was started again")
    eventually(lambda: 'release="1.3.0"' in scrape(box), 10.0, "it tells of the new release")
