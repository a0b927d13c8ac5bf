"""Every alert, by promtool's own unit tests: silent at a healthy box, and when its time has come alone and in words."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.fleet

RULES = Path(__file__).parent.parent.parent / "ansible/roles/observability/files/edge-runtime.rules.yml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
DAY_S = 86400
LONG = 28 * 60 * 4
"""Samples of 28 hours, one every 15 s."""
BOX = 'device_id="foyer-left", instance="foyer-left", platform="gpu", venue="foyer"'


def series(name: str) -> str:
    """A series of the box: its labels beside those that are given."""
    metric, _, labels = name.rstrip("}").partition("{")
    return f"{metric}{{{labels}{', ' if labels else ''}{BOX}}}"


HEALTHY = {
    'up{job="edge-runtime"}': f"1x{LONG}",
    "edge_runtime_up": f"1x{LONG}",
    "edge_runtime_frames_presented_total": f"0+900x{LONG}",
    "edge_runtime_frames_due_total": f"0+901x{LONG}",
    'edge_runtime_frames_missed_total{late_by="us"}': f"0x{LONG}",
    'edge_runtime_frames_missed_total{late_by="world"}': f"0+1x{LONG}",
    'edge_runtime_part_restarts_total{part="camera:main"}': f"2x{LONG}",
    'edge_runtime_part_state{part="camera:main", state="failed"}': f"0x{LONG}",
    'edge_runtime_model_info{model="stylize", provider="TensorRT", backend="auto"}': f"1x{LONG}",
    'edge_runtime_model_info{model="prompt", provider="CPUExecutionProvider", backend="cpu"}': f"1x{LONG}",
    "edge_runtime_governor_rung": f"0x{LONG}",
    'edge_runtime_camera_lost{camera="main"}': f"0x{LONG}",
    'edge_runtime_camera_frozen{camera="main"}': f"0x{LONG}",
    'edge_runtime_signal_stale{signal="votes.wave"}': f"1x{LONG}",  # never came: it has no age
    'edge_runtime_signal_stale{signal="weather.rain"}': f"0x{LONG}",
    'edge_runtime_signal_age_seconds{signal="weather.rain"}': f"3x{LONG}",
    "edge_runtime_mqtt_connected": f"1x{LONG}",
    "edge_runtime_temperature_celsius": f"71x{LONG}",
    'edge_runtime_release_info{track="runtime", release="1.1.0", link="current"}': f"1x{LONG}",
    'edge_runtime_release_info{track="runtime", release="1.1.0", link="proven"}': f"1x{LONG}",
    'edge_runtime_release_rejected_timestamp_seconds{track="runtime", release="1.0.9"}': f"{-2 * DAY_S}x{LONG}",
    'edge_runtime_certificate_expiry_timestamp_seconds{file="box.crt"}': f"{90 * DAY_S}x{LONG}",
    'node_filesystem_avail_bytes{job="node", fstype="ext4", mountpoint="/"}': f"5e10x{LONG}",
    'node_filesystem_size_bytes{job="node", fstype="ext4", mountpoint="/"}': f"1e11x{LONG}",
    'node_filesystem_avail_bytes{job="node", fstype="tmpfs", mountpoint="/run"}': f"0x{LONG}",
    'node_filesystem_size_bytes{job="node", fstype="tmpfs", mountpoint="/run"}': f"1e9x{LONG}",
    'node_filesystem_readonly{job="node", fstype="ext4", mountpoint="/"}': f"0x{LONG}",
    'node_vmstat_oom_kill{job="node"}': f"0x{LONG}",
    'node_timex_sync_status{job="node"}': f"1x{LONG}",
}
CPU = 'edge_runtime_model_info{model="stylize", provider="CPUExecutionProvider", backend="auto"}'
TENSORRT = 'edge_runtime_model_info{model="stylize", provider="TensorRT", backend="auto"}'

# What is different at a sick box, when nothing may be said yet, when the alert must be there, and what it says.
SICK: dict[str, tuple[dict[str, str], str, str, str]] = {
    "BoxUnreachable": ({'up{job="edge-runtime"}': f"0x{LONG}"}, "2m", "4m", "foyer-left cannot be scraped: is it on"),
    "ShowDown": ({"edge_runtime_up": f"0x{LONG}"}, "30s", "2m", "foyer-left: the runtime does not answer"),
    "NoPictures": (
        {"edge_runtime_frames_presented_total": f"0+900x40 36000x{LONG}"},
        "10m",
        "13m",
        "foyer-left: the runtime answers and presents nothing",
    ),
    "FramesMissed": (
        {'edge_runtime_frames_missed_total{late_by="us"}': f"0+17x{LONG}"},
        "9m",
        "16m",
        "foyer-left misses 1.998% of its frames",
    ),
    "ShowRestarts": (
        {"edge_runtime_frames_due_total": f"{'0+901x20 ' * 4}0+901x{LONG}"},
        "10m",
        "25m",
        "foyer-left: the whole runtime was started 4 times within an hour",
    ),
    "PartRestarts": (
        {'edge_runtime_part_restarts_total{part="camera:main"}': f"0x40 0+1x7 8x{LONG}"},
        "10m",
        "15m",
        "foyer-left: camera:main was restarted ",
    ),
    "PartFailed": (
        {'edge_runtime_part_state{part="camera:main", state="failed"}': f"1x{LONG}"},
        "30s",
        "2m",
        "foyer-left: camera:main does not come back",
    ),
    "ModelDowngraded": (
        {TENSORRT: "1x40 stale", CPU: f"_x40 1x{LONG}"},
        "35m",
        "45m",
        "foyer-left: stylize runs on the CPU and not on the GPU",
    ),
    "LowRung": ({"edge_runtime_governor_rung": f"2x{LONG}"}, "59m", "61m", "not shown its best for an hour (rung 2)"),
    "CameraLost": (
        {'edge_runtime_camera_frozen{camera="main"}': f"1x{LONG}"},
        "4m",
        "6m",
        "foyer-left: camera main gives nothing new",
    ),
    "SignalStale": (
        {'edge_runtime_signal_stale{signal="weather.rain"}': f"1x{LONG}"},
        "14m",
        "16m",
        "foyer-left: weather.rain does not come any more",
    ),
    "BrokerLost": ({"edge_runtime_mqtt_connected": f"0x{LONG}"}, "4m", "6m", "foyer-left has no broker"),
    "Hot": ({"edge_runtime_temperature_celsius": f"88.5x{LONG}"}, "9m", "11m", "foyer-left is 88.5 degrees warm"),
    "ReleaseRolledBack": (
        {'edge_runtime_release_rejected_timestamp_seconds{track="runtime", release="1.0.9"}': f"_x40 600x{LONG}"},
        "9m",
        "11m",
        "foyer-left: runtime 1.0.9 did worse than before and was undone",
    ),
    "ReleaseOnTrial": (
        {
            'edge_runtime_release_info{track="runtime", release="1.1.0", link="current"}': "1x4 stale",
            'edge_runtime_release_info{track="runtime", release="1.2.0", link="current"}': f"_x4 1x{LONG}",
        },
        "10m",
        "13m",
        "foyer-left: runtime 1.2.0 was neither kept nor undone",
    ),
    "CertificateExpires": (
        {'edge_runtime_certificate_expiry_timestamp_seconds{file="box.crt"}': f"{10 * DAY_S}x{LONG}"},
        "59m",
        "61m",
        "foyer-left: box.crt ends in 9d 22h 59m",
    ),
    "DiskAlmostFull": (
        {'node_filesystem_avail_bytes{job="node", fstype="ext4", mountpoint="/"}': f"9e9x{LONG}"},
        "14m",
        "16m",
        "foyer-left: / has 9% left",
    ),
    "DiskReadOnly": (
        {'node_filesystem_readonly{job="node", fstype="ext4", mountpoint="/"}': f"1x{LONG}"},
        "4m",
        "6m",
        "foyer-left: its disk can no longer be written",
    ),
    "OutOfMemory": (
        {'node_vmstat_oom_kill{job="node"}': f"0x40 1x{LONG}"},
        "9m",
        "11m",
        "foyer-left: the kernel has ended a process",
    ),
    "ClockWrong": (
        {'node_timex_sync_status{job="node"}': f"0x{LONG}"},
        "29m",
        "31m",
        "foyer-left: nobody sets its clock",
    ),
}


def judge(folder: Path, different: dict[str, str], alert: str, at: str, expected: list[dict[str, Any]]) -> str:
    """What promtool says when an alert is expected like this at that time; empty when it agrees."""
    test = {
        "interval": "15s",
        "input_series": [
            {"series": series(name), "values": values} for name, values in {**HEALTHY, **different}.items()
        ],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": at,
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if expected else [],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_promtool_finds_no_fault_with_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_healthy_box_is_left_alone_for_a_day(tmp_path: Path) -> None:
    assert judge(tmp_path, {}, "ShowDown", "26h", []) == ""


def test_every_alert_is_tried_and_says_what_to_type() -> None:
    assert set(SICK) == set(ALERTS)
    for rule in ALERTS.values():
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


@pytest.mark.parametrize("alert", SICK)
def test_an_alert_waits_its_time_and_then_names_the_box_and_what_is_wrong(alert: str, tmp_path: Path) -> None:
    different, quiet, loud, words = SICK[alert]
    assert judge(tmp_path, different, alert, quiet, []) == ""
    said = judge(tmp_path, different, alert, loud, [{"exp_labels": {}, "exp_annotations": {}}])
    (got,) = re.findall(r"got:(.*?)(?=\n\s*\n|\Z)", said, re.DOTALL)[:1]
    assert words in got
    assert 'device_id="foyer-left"' in got
    assert f'severity="{ALERTS[alert]["labels"]["severity"]}"' in got
    assert got.count("Labels:") == 1
    assert "ALERTS" not in said  # nobody else is firing
