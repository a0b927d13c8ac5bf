from typing import Any

import pytest

from edge_runtime.release.health import Stretch, judge
from edge_runtime.release.install import first_picture_limit_s
from edge_runtime.release.policy import GateLimits

LIMITS = GateLimits(missed_share=0.01)


def status(due: int, missed: int = 0, **changes: Any) -> dict[str, Any]:
    """A statistics object with two parts and a model, as far as the gate looks at it."""
    tree: dict[str, Any] = {
        "frames": {"due": due, "presented": due - missed, "missed": missed},
        "parts": {name: {"state": "up", "restarts": 0, "pid": 7} for name in ("show", "worker:main")},
        "models": {"stylize": {"provider": "CPUExecutionProvider", "runs": due}},
    }
    for path, value in changes.items():
        at = tree
        *folders, leaf = path.split("__")
        for folder in folders:
            at = at[folder]
        at[leaf] = value
    return tree


def stretch(**last: Any) -> Stretch:
    return Stretch(status(60), status(1260, **last))


def test_a_show_that_does_as_before_is_well() -> None:
    assert judge(stretch(), stretch(), LIMITS) is None
    assert judge(stretch(missed=12), None, LIMITS) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"missed": 13}, "misses 1.1 % of 1200 frames; 1.0 % are allowed"),
        ({"frames__presented": 60}, "presents no pictures"),
        ({"parts__show": {"state": "up", "restarts": 2}}, "show ended 2 times"),
        ({"parts__show": {"state": "backoff", "restarts": 0}}, "show is backoff"),
        ({"models__stylize": {"provider": "", "runs": 0}}, "model stylize does not run"),
    ],
)
def test_a_show_that_does_worse_is_told_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    assert judge(stretch(**changes), stretch(), LIMITS) == words


def test_a_box_that_always_misses_frames_is_not_blamed_on_the_new_release() -> None:
    poor = stretch(missed=60)
    assert judge(stretch(missed=110), poor, LIMITS) is None
    assert judge(stretch(missed=130), poor, LIMITS) == "misses 10.8 % of 1200 frames; 10.0 % are allowed"


def test_a_restart_before_the_watch_began_is_no_fault() -> None:
    earlier = status(60, parts__show={"state": "up", "restarts": 3})
    assert judge(Stretch(earlier, status(1260, parts__show={"state": "up", "restarts": 3})), None, LIMITS) is None


def test_a_model_that_fell_from_the_gpu_to_the_cpu_is_a_fault_and_an_engine_that_is_being_built_is_none() -> None:
    def on(provider: str) -> Stretch:
        return stretch(models__stylize={"provider": provider, "runs": 9})

    cpu, cuda, engine = on("CPUExecutionProvider"), on("CUDAExecutionProvider"), on("TensorRT")
    assert judge(cpu, cuda, LIMITS) == ("model stylize runs on CPUExecutionProvider; it ran on CUDAExecutionProvider")
    assert judge(cuda, engine, LIMITS) is None
    assert judge(cpu, engine, LIMITS) is not None
    assert judge(engine, cpu, LIMITS) is None


def test_a_model_at_rest_or_gone_from_the_config_is_no_fault() -> None:
    at_rest = stretch(models__stylize={"provider": "", "runs": 0})
    assert judge(at_rest, at_rest, LIMITS) is None
    assert judge(stretch(models={}), stretch(), LIMITS) is None


def test_a_first_picture_may_take_as_long_as_the_way_back_fits_in() -> None:
    def started_in(seconds: float) -> Stretch:
        return stretch(start={"first_picture_s": seconds})

    assert first_picture_limit_s(LIMITS, 0.8, started_in(0.8)) == 2.5
    assert first_picture_limit_s(LIMITS, 1.3, started_in(0.8)) == pytest.approx(2.6)
    assert first_picture_limit_s(LIMITS, 1.8, started_in(1.0)) == pytest.approx(2.5), "5 s, 1 s back, 1.5 s of stops"
    assert first_picture_limit_s(LIMITS, 1.0, started_in(2.5)) == pytest.approx(2.2), "nobody is given less"
    assert first_picture_limit_s(LIMITS, 4.0, started_in(1.0)) == pytest.approx(5.0), "what is slow has its time"
    assert first_picture_limit_s(LIMITS, 1.0, None) == 2.5
