"""A training that is killed carries on, and ends where an uninterrupted one would."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: make test-export")

import torch
from torch import Tensor
from torch.nn import Module

from export.run import Run, Stage, step_rng, train

PLAN = Stage("short", steps=40, lr=0.05, warm_up=4, average=0.9)


def steps_of(run: Run, net: Module, *, killed_at: int | None = None) -> Callable[[int], dict[str, Tensor]]:
    def step(number: int) -> dict[str, Tensor]:
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGTERM)
        x = torch.from_numpy(step_rng(run, PLAN.name, number).random((8, 3))).float() + torch.randn(8, 3) * 0.1
        return {"error": (net(x) - x.sum(1, keepdim=True)).square().mean()}

    return step


def new_net() -> Module:
    torch.manual_seed(1)
    return torch.nn.Linear(3, 1)


def test_a_killed_training_carries_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, broken = (Run("net", tmp_path / name) for name in ("whole", "broken"))
    for run in (whole, broken):
        run.folder.mkdir()
    net = new_net()
    train(whole, PLAN, net, steps_of(whole, net))
    net = new_net()
    with pytest.raises(SystemExit) as ended:
        train(broken, PLAN, net, steps_of(broken, net, killed_at=17))
    assert ended.value.code == 130
    assert not broken.done(PLAN.name)
    net = new_net()
    train(broken, PLAN, net, steps_of(broken, net))
    for name, weight in whole.weights(PLAN.name).items():
        assert torch.equal(weight, broken.weights(PLAN.name)[name])


def test_a_finished_stage_is_not_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, net = Run("net", tmp_path), new_net()
    train(run, PLAN, net, steps_of(run, net))

    def refuse(_: int) -> dict[str, Tensor]:
        raise AssertionError("trained again")

    train(run, PLAN, new_net(), refuse)
    assert "short is trained already" in capsys.readouterr().out


def test_another_recipe_is_told_and_trained_again_with_all_that_came_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, net = Run("net", tmp_path), new_net()
    run.path("before.npz").touch()
    os.utime(run.path("before.npz"), (1, 1))
    train(run, PLAN, net, steps_of(run, net))
    later = replace(PLAN, name="later")
    train(run, later, net, steps_of(run, net))
    longer = replace(PLAN, steps=50)
    net = new_net()
    train(run, longer, net, steps_of(run, net))
    assert "short was trained by another recipe" in capsys.readouterr().out
    assert run.done("short")
    assert not run.done("later")
    assert run.path("before.npz").exists()


def test_a_wider_network_begins_anew_where_a_narrower_one_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, net = Run("net", tmp_path), new_net()
    with pytest.raises(SystemExit):
        train(run, PLAN, net, steps_of(run, net, killed_at=9))
    wider = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    train(run, PLAN, wider, steps_of(run, wider))
    assert "short was begun by another recipe" in capsys.readouterr().out


def test_another_teacher_is_another_recipe(tmp_path: Path) -> None:
    run, net = Run("net", tmp_path), new_net()
    train(run, replace(PLAN, teacher="old"), net, steps_of(run, net))
    asked: list[int] = []
    step = steps_of(run, net)

    def counted(number: int) -> dict[str, Tensor]:
        asked.append(number)
        return step(number)

    train(run, replace(PLAN, teacher="new"), net, counted)
    assert len(asked) == PLAN.steps


@pytest.mark.parametrize(("budget", "steps", "count"), [(1.0, 900, 26), (0.002, 2, 4)])
def test_what_ships_has_all_its_steps_and_is_measured_by_everything(
    tmp_path: Path, budget: float, steps: int, count: int
) -> None:
    run = Run("net", tmp_path, budget=budget)
    assert (run.steps(900), run.count(26)) == (steps, count)
