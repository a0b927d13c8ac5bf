import json
import subprocess
import sys
from pathlib import Path

from edge_runtime.cli.bench import faults, stages
from edge_runtime.cli.bench.table import Outcome, render, spread
from edge_runtime.config import load


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_runtime", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_bench_start_measures_from_outside_and_writes_every_figure(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = bench("start", "--rounds", "1", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    assert "first picture" in done.stdout
    assert "bars hold on this machine" in done.stdout

    tree = json.loads(figures.read_text())
    assert tree["schema"] == 1
    assert tree["machine"]["cores"] >= 1
    assert list(tree["rows"]) == ["start"]
    (picture_s,), (model_s,) = (tree["rows"]["start"][f"first_{what}_s"] for what in ("picture", "model_frame"))
    assert 0.1 < picture_s <= model_s < 30.0, "Python alone takes a tenth of a second"
    assert [line["holds"] for line in tree["rows"]["start"]["lines"]] == [picture_s <= 1.0, model_s <= 3.0]


def test_an_unknown_row_is_refused_with_those_that_are_known() -> None:
    done = bench("pacings")
    assert done.returncode == 2
    assert "pacings: no such row; known: pacing, screen" in done.stderr


def test_the_busy_config_has_a_worker_for_every_core(tmp_path: Path) -> None:
    path, config = stages.open_config(None)
    busy = tmp_path / "busy.toml"
    busy.write_text(stages.busy(path, config))
    assert len(load(busy).workers) == max(len(config.workers), stages.cores())


def test_percentiles_are_values_that_were_seen() -> None:
    found = spread([float(n) for n in range(1, 1001)])
    assert found == {"count": 1000, "min": 1, "p50": 500, "p95": 950, "p99": 990, "p999": 999, "max": 1000}
    assert spread([])["p99"] is None


def test_the_table_says_which_bars_do_not_hold() -> None:
    good, bad, absent = Outcome("start"), Outcome("pacing"), Outcome("screen", skipped="Xvfb is not installed")
    good.judge("first picture", bar="<= 1 s", measured="0.5 s", holds=True)
    bad.judge("interval", bar="<= 1 ms", measured="2 ms", holds=False)
    bad.tell("frames/s", "60")
    text = render([good, bad, absent])
    assert "not measured: Xvfb is not installed" in text
    assert text.endswith("1 of 2 bars hold on this machine; not those of: pacing")


def test_a_fault_with_more_missed_frames_than_the_quiet_before_it_breaks_the_bar() -> None:
    def holds(*, missed: int, before: int) -> bool | None:
        outcome = Outcome("faults")
        seen = [
            faults.Fault(part, how, 0.5, 0.3, 200, missed, 3.0, before, 6.0)
            for part in faults.PARTS
            for how in ("SIGKILL", "SIGSTOP")
        ]
        faults._judge(outcome, seen, 0.25)
        return next(line.holds for line in outcome.lines if line.what == "missed frames")

    assert holds(missed=0, before=0)
    assert holds(missed=1, before=2)
    assert not holds(missed=1, before=0)
