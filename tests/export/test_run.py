"""A training that is killed carries on, and ends where an uninterrupted one would."""

import os
import signal
from collections.abc import Callable
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
