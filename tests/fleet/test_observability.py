"""What watches the fleet: a real Prometheus with the role's own files, at a box that runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.broker import Mosquitto
from tests.fixtures.children import bound_to_us, find_program, stop_child
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.exporter import Exporter, with_card, with_releases
from tests.fixtures.ports import find_free_port
from tests.fixtures.waiting import eventually
from tests.fleet.tls import Authority

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).parent.parent.parent
ROLE = ROOT / "ansible/roles/observability"
RULES = ROLE / "files/edge-runtime.rules.yml"
UNIT = ROLE / "files/edge-runtime-metrics.service"
DASHBOARDS = sorted((ROLE / "files/dashboards").glob("*.json"))
VARIABLES = {"$venue": "foyer", "$device_id": "crew"}
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())

INVENTORY = """\
boxes:
  hosts:
    crew: {{ansible_host: 127.0.0.1, edge_runtime_platform: cpu}}
    spare: {{ansible_host: "fd00::7", observability_labels: {{shelf: B4}}}}
foyer:
  hosts:
    crew: {{observability_port: {port}, observability_node_port: {node_port}}}
monitoring:
  hosts:
    monitor: {{ansible_connection: local, ansible_python_interpreter: {python}}}
  vars:
    observability_server: true
    observability_venues: [foyer]
    observability_scrape_s: 1
    observability_alertmanagers: ["127.0.0.1:9093"]
    observability_prometheus_folder: {folder}/prometheus
    observability_dashboard_folder: {folder}/dashboards
    observability_grafana_folder: {folder}/grafana
"""
PLAY = "- {hosts: monitoring, roles: [observability]}\n"


class Watched:
    """A monitoring host made by the role, and the box that it watches."""

    def __init__(self, folder: Path, port: int, node_port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{find_free_port()}"
        (folder / "prometheus").mkdir()
        (folder / "grafana/provisioning/dashboards").mkdir(parents=True)
        (folder / "grafana/provisioning/datasources").mkdir()
        text = INVENTORY.format(port=port, node_port=node_port, folder=folder, python=sys.executable)
        (folder / "inventory.yml").write_text(text)
        (folder / "play.yml").write_text(PLAY)
        self.first, self.second = self.provision(), self.provision()

    def provision(self) -> str:
        """Run the role, without the parts that need a machine of its own; its recap."""
        programs = Path(sys.executable).parent
        argv = [f"{programs}/ansible-playbook", "-i", "inventory.yml", "play.yml"]
        argv += ["--skip-tags", "observability_package,observability_service"]
        environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(ROLE.parent), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(argv, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (recap,) = re.findall("^monitor .*$", done.stdout, re.MULTILINE)
        return str(recap)

    def ask(self, path: str, **parameters: str) -> Any:
        """An answer of Prometheus' own interface."""
        with urllib.request.urlopen(
            f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=5
        ) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def names(self) -> set[str]:
        return set(self.ask("label/__name__/values"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    program = find_program("mosquitto")
    assert program is not None
    running = Mosquitto(program, tmp_path_factory.mktemp("broker"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "tls").mkdir()
    Authority(folder / "tls").issue("box")
    node_port = find_free_port()
    collectors = [f"--collector.{name}" for name in DEFAULTS["observability_collectors"]]
    listen = f"--web.listen-address=127.0.0.1:{node_port}"
    config = crew(end=f'[mqtt]\nurl = "{broker.url}"\n')
    options = ("--root", with_releases(folder / "opt"), "--certificates", folder / "tls")
    with (
        RunningDevice(config, folder, environment=with_card(folder / "bin")) as device,
        Exporter(folder, *options, environment={"RUNTIME_DIRECTORY": str(device.runtime_folder)}) as exporter,
        running(["prometheus-node-exporter", listen, "--collector.disable-defaults", *collectors]),
    ):
        device.wait_up()
        port = int(exporter.url.rpartition(":")[2].removesuffix("/metrics"))
        watched = Watched(folder, port, node_port)
        argv = ["prometheus", f"--config.file={folder}/prometheus/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        with running([*argv, f"--web.listen-address={watched.url.removeprefix('http://')}"]):
            eventually(lambda: answers(watched), 20.0, "Prometheus answers")
            assert device.send("brightness", percent=80).ok
            eventually(lambda: watched.query("rate(edge_runtime_frames_due_total[5m]) > 0"), 20.0, "rates are there")
            eventually(lambda: watched.query("edge_runtime_command_to_present_seconds"), 20.0, "the command is counted")
            eventually(lambda: watched.query("rate(node_cpu_seconds_total[5m])"), 20.0, "the machine is scraped")
            yield watched


class running:  # noqa: N801 - reads as what it is: a stretch of time
    """A program that runs as long as its block."""

    def __init__(self, argv: list[str]) -> None:
        assert shutil.which(argv[0]) is not None, f"{argv[0]} is not installed"
        self._argv = bound_to_us(argv)

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_: object) -> None:
        stop_child(self._process)


def answers(watched: Watched) -> bool:
    try:
        return bool(watched.query("up == 1"))
    except OSError:
        return False


def metrics_of(expression: str) -> set[str]:
    """The names of metrics in an expression, those of labels and functions left out."""
    bare = re.sub(r'"[^"]*"|(?:by|without|on|ignoring|group_left) *\([^)]*\)', "", expression)
    return set(re.findall(r"\b(?:up|(?:edge_runtime|node)_\w+)\b", bare))


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels(dashboard: Path) -> list[tuple[str, str]]:
    board = json.loads(dashboard.read_text())
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]


def test_the_second_run_changes_nothing(watched: Watched) -> None:
    assert "changed=0 " not in watched.first
    assert "changed=0 " in watched.second


def test_every_box_of_the_inventory_is_asked_under_its_name_and_venue(watched: Watched) -> None:
    targets = {
        target["labels"]["job"]: target
        for target in watched.ask("targets")["activeTargets"]
        if target["health"] == "up"
    }
    assert targets["edge-runtime"]["labels"].keys() == {"device_id", "instance", "job", "platform", "venue"}
    for job in ("edge-runtime", "node"):
        labels = targets[job]["labels"]
        assert (labels["device_id"], labels["venue"], labels["platform"]) == ("crew", "foyer", "cpu")
    spare = json.loads((watched.folder / "prometheus/edge-runtime-nodes.json").read_text())[1]
    assert spare == {"targets": ["[fd00::7]:9100"], "labels": {"device_id": "spare", "shelf": "B4"}}
    (alertmanager,) = watched.ask("alertmanagers")["activeAlertmanagers"]
    assert "127.0.0.1:9093" in alertmanager["url"]


def test_prometheus_has_every_alert_and_evaluates_it_without_an_error(watched: Watched) -> None:
    def evaluated() -> list[dict[str, Any]]:
        loaded = [rule for group in watched.ask("rules")["groups"] for rule in group["rules"]]
        return loaded if all(rule["health"] != "unknown" for rule in loaded) else []

    loaded = eventually(evaluated, 10.0, "every rule was evaluated")
    assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
    assert [rule["lastError"] for rule in loaded if rule["health"] != "ok"] == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_running_box_exports_every_metric_of_an_alert(watched: Watched, rule: dict[str, Any]) -> None:
    needed = metrics_of(rule["expr"])
    assert needed
    assert needed <= watched.names()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_of_a_dashboard_shows_something_of_a_running_box(watched: Watched, dashboard: Path) -> None:
    empty = []
    for title, expression in panels(dashboard):
        asked = re.sub(r"\$\w+", lambda found: VARIABLES[found[0]], expression)
        if not watched.query(asked):
            empty.append((title, asked))
    assert empty == []


def test_promtool_finds_no_fault_with_what_a_box_exports(watched: Watched) -> None:
    (box, _) = json.loads((watched.folder / "prometheus/edge-runtime-boxes.json").read_text())
    with urllib.request.urlopen(f"http://{box['targets'][0]}/metrics", timeout=5) as answer:
        linted = subprocess.run(["promtool", "check", "metrics"], input=answer.read(), capture_output=True, check=False)
    assert (linted.returncode, linted.stderr.decode()) == (0, "")


def test_grafana_is_told_where_figures_and_dashboards_are(watched: Watched) -> None:
    provisioning = watched.folder / "grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/edge-runtime.yml").read_text())["providers"]
    assert {path.name for path in Path(provider["options"]["path"]).iterdir()} == {path.name for path in DASHBOARDS}
    (source,) = yaml.safe_load((provisioning / "datasources/edge-runtime.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", DEFAULTS["observability_prometheus_url"])


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_of_a_dashboard_have_names_of_their_own_and_do_not_overlap(dashboard: Path) -> None:
    board = json.loads(dashboard.read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}
    assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"])
    places = [panel["gridPos"] for panel in board["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_unit_is_shut_in_and_systemd_finds_no_fault_with_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    program = re.compile(r"(?<=ExecStart=)\S+")  # is on a box only
    unit.write_text(program.sub("/bin/true", UNIT.read_text()))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
