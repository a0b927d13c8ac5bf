"""A run: one student's working folder, seed, device and budget, with a training loop that can be killed.

The loop saves weights, optimiser, step and random state every minute and at the end; the next `distil` carries on
from there and ends where an uninterrupted one would. Checkpoints hold tensors and plain numbers only and are read
with `weights_only`: nothing in them is ever executed. What another recipe left (other steps, another shape, another
teacher) is told and made again, with all that was made after it.
"""

import contextlib
import hashlib
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.errors import ExportError
from export.sources import cache_folder

CHECKPOINT_S = 60.0
_TOLD_S = 2.0
_STEPS_AT_LEAST = 2
_MEASURED_AT_LEAST = 4


@dataclass(frozen=True, slots=True)
class Run:
    """What a student's steps share. `budget` scales every training: 1 is what ships, 0.002 proves the pipeline."""

    name: str
    folder: Path
    seed: int = 0
    device: str = "cpu"
    budget: float = 1.0

    @classmethod
    def open(cls, name: str, *, seed: int = 0, device: str = "cpu", budget: float = 1.0, fresh: bool = False) -> "Run":
        """The run of one student, its folder made, or made anew. Another seed or budget has another folder."""
        folder = cache_folder() / "runs" / f"{name}-s{seed}-b{budget:g}"
        if fresh and folder.exists():
            print(f"{name}: what was trained before is forgotten: {folder}")
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(name, folder, seed, device, budget)

    def steps(self, full: int) -> int:
        """`full` steps, scaled by the budget."""
        return max(_STEPS_AT_LEAST, round(full * self.budget))

    def count(self, full: int) -> int:
        """`full` things to measure by; a sixth of them, where what is measured never ships."""
        return full if self.budget == 1 else max(_MEASURED_AT_LEAST, full // 6)

    def rng(self, stage: str = "") -> np.random.Generator:
        """A generator of its own for each stage, the same every time."""
        return np.random.default_rng([self.seed, *stage.encode()])

    def path(self, name: str) -> Path:
        """A file of this run."""
        return self.folder / name

    def done(self, stage: str) -> bool:
        """Whether a stage was finished by an earlier `distil`."""
        return self.path(f"{stage}.done").exists()

    def weights(self, stage: str) -> Mapping[str, Any]:
        """What a finished stage left.

        Raises:
            ExportError: it was not finished.
        """
        if not self.done(stage):
            raise ExportError(f"{self.name}: stage {stage!r} is not trained; type: python -m export distil {self.name}")
        state: Mapping[str, Any] = torch.load(self.path(f"{stage}.pt"), map_location=self.device, weights_only=True)
        return state

    def fingerprint(self, stage: str) -> str:
        """Of a finished stage's weights, for those who learn from them."""
        return hashlib.sha256(self.path(f"{stage}.pt").read_bytes()).hexdigest()

    def forget(self, stage: str) -> None:
        """Remove a finished stage and all that was made after it."""
        since_s = self.path(f"{stage}.done").stat().st_mtime
        later = [path for path in self.folder.iterdir() if path.stat().st_mtime >= since_s]
        for path in {*later, self.path(f"{stage}.pt"), self.path(f"{stage}.checkpoint")}:
            path.unlink(missing_ok=True)

    def save_sheet(self, name: str, rgb_hwc: npt.NDArray[np.uint8]) -> Path:
        """Keep a picture of how far the training is, as PNG."""
        path = self.path(f"{name}.png")
        cv2.imwrite(str(path), cv2.cvtColor(rgb_hwc, cv2.COLOR_RGB2BGR))
        return path


@dataclass(frozen=True, slots=True)
class Stage:
    """One training: AdamW with a linear warm-up, then a cosine to a twentieth of `lr`."""

    name: str
    """Names the checkpoint and what is kept, e.g. "teacher"."""
    steps: int
    """At budget 1."""
    lr: float
    warm_up: int = 50
    average: float = 0.0
    """Decay of an exponential average of the weights, which is then what is kept; 0: the weights themselves."""
    sheet_every: int = 500
    teacher: str = ""
    """Fingerprint of what is learned from, where that is another run's."""


def train(  # noqa: PLR0915 - one loop, read from top to bottom
    run: Run,
    plan: Stage,
    model: torch.nn.Module,
    step: Callable[[int], dict[str, torch.Tensor]],
    *,
    parameters: list[torch.nn.Parameter] | None = None,
    sheet: Callable[[], npt.NDArray[np.uint8]] | None = None,
) -> None:
    """Train one stage, or carry it on, or return at once when it is done. `model` ends with the stage's weights.

    Args:
        run: where checkpoints go; `run.budget` scales the steps.
        plan: how long and how fast.
        model: what is saved.
        step: given the step's number, the losses by name; their sum is minimised. It draws randomness from
            `step_rng` and torch's global generator only, so that a resumed run repeats itself.
        parameters: what is trained; default: all of the model that want a gradient.
        sheet: a picture of what the model does now, kept as `STAGE-STEP.png`.
    """
    stage, total = plan.name, run.steps(plan.steps)
    recipe = _recipe(plan, total, model)
    if run.done(stage):
        if json.loads(run.path(f"{stage}.done").read_text(encoding="utf-8")).get("recipe") == recipe:
            model.load_state_dict(run.weights(stage))
            print(f"{run.name}: {stage} is trained already")
            return
        print(f"{run.name}: {stage} was trained by another recipe: it is trained again, and what was made after it")
        run.forget(stage)
    trained = parameters or [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, plan.lr, weight_decay=0.0)
    mean: dict[str, torch.Tensor] = {}
    first = _resume(run, stage, recipe, model, optimiser, mean)
    spent_s = _spent_s(run, stage)  # after that: what another recipe left is gone
    saved_s = told_s = started_s = time.monotonic()
    running: dict[str, float] = {}
    with _unhurried_end() as stopping:
        for number in range(first, total):
            _seed(run.seed, number)
            for group in optimiser.param_groups:
                group["lr"] = plan.lr * _schedule(number, total, plan.warm_up)
            losses = step(number)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack([value.float() for value in losses.values()]).sum())
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            if plan.average:
                _update_mean(mean, model, min(plan.average, (number + 1) / (number + 10)))
            for key, value in losses.items():
                seen = float(value.detach())
                running[key] = 0.98 * running.get(key, seen) + 0.02 * seen
            now_s = time.monotonic()
            if now_s - told_s > _TOLD_S or number + 1 == total:
                told_s = now_s
                _tell(run.name, stage, number + 1, total, (now_s - started_s) / (number + 1 - first), running)
            if now_s - saved_s > CHECKPOINT_S or stopping():
                saved_s = now_s
                state = {
                    "recipe": recipe,
                    "number": number + 1,
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                }
                _save(run, stage, {**state, "mean": mean, "spent_s": spent_s + now_s - started_s})
                if stopping():
                    print(f"\n{run.name}: {stage} stopped after step {number + 1}; the same command carries on")
                    sys.exit(130)
            if sheet is not None and ((number + 1) % plan.sheet_every == 0 or number + 1 == total):
                run.save_sheet(f"{stage}-{number + 1:06d}", sheet())
    if mean:
        model.load_state_dict(mean)
    with whole(run.path(f"{stage}.pt")) as fresh:
        torch.save(model.state_dict(), fresh)
    seconds = spent_s + time.monotonic() - started_s
    run.path(f"{stage}.done").write_text(
        json.dumps({"recipe": recipe, "steps": total, "seconds": round(seconds), "losses": running}), encoding="utf-8"
    )
    print(f"\n{run.name}: {stage} trained, {total} steps in {seconds / 60:.1f} min")


def on_device(array: npt.NDArray[Any]) -> Tensor:
    """An array as a tensor where everything else is: on the CPU, or on the GPU while `distil` trains there."""
    return torch.from_numpy(array).to(torch.get_default_device())


def step_rng(run: Run, stage: str, number: int) -> np.random.Generator:
    """The randomness of one step: the same whether the run was interrupted or not."""
    return np.random.default_rng([run.seed, *stage.encode(), number])


def training_seconds(run: Run, stage: str) -> float:
    """How long a finished stage took, over all its interruptions."""
    return float(json.loads(run.path(f"{stage}.done").read_text(encoding="utf-8"))["seconds"])


def _schedule(number: int, total: int, warm_up: int) -> float:
    rise = min(1.0, (number + 1) / max(1, min(warm_up, total // 4)))
    return rise * (0.05 + 0.95 * 0.5 * (1.0 + float(np.cos(np.pi * number / total))))


def _seed(seed: int, number: int) -> None:
    torch.manual_seed(seed * 1_000_003 + number)
    random.seed(seed * 1_000_003 + number)


def _update_mean(mean: dict[str, torch.Tensor], model: torch.nn.Module, decay: float) -> None:
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key not in mean:
                mean[key] = value.clone()
            elif value.is_floating_point():
                mean[key].lerp_(value, 1.0 - decay)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write that takes its name once it is whole: a training may be killed at any time."""
    fresh = path.with_name(f"{path.name}.new")
    yield fresh
    fresh.replace(path)


def _save(run: Run, stage: str, state: dict[str, Any]) -> None:
    with whole(run.path(f"{stage}.checkpoint")) as fresh:
        torch.save(state, fresh)


def _load(run: Run, stage: str) -> dict[str, Any] | None:
    path = run.path(f"{stage}.checkpoint")
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=run.device, weights_only=True)
    return state


def _spent_s(run: Run, stage: str) -> float:
    state = _load(run, stage)
    return float(state["spent_s"]) if state else 0.0


def _recipe(plan: Stage, total: int, model: torch.nn.Module) -> str:
    """What a stage's weights depend on, as far as it can be told without reading code."""
    said = {key: value for key, value in asdict(plan).items() if key != "sheet_every"}
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    return hashlib.sha256(json.dumps([said, total, shapes], sort_keys=True).encode()).hexdigest()[:16]


def _resume(
    run: Run,
    stage: str,
    recipe: str,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    mean: dict[str, torch.Tensor],
) -> int:
    state = _load(run, stage)
    if state is None:
        return 0
    if state.get("recipe") != recipe:
        print(f"{run.name}: {stage} was begun by another recipe: it begins anew")
        run.path(f"{stage}.checkpoint").unlink()
        return 0
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    mean.update(state["mean"])
    print(f"{run.name}: {stage} carries on after step {state['number']}")
    return int(state["number"])


@contextlib.contextmanager
def _unhurried_end() -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM end the loop after the step at hand, with a checkpoint."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda n, _: asked.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _tell(name: str, stage: str, number: int, total: int, step_s: float, losses: Mapping[str, float]) -> None:
    filled = round(24 * number / total)
    words = " ".join(f"{key} {value:.4f}" for key, value in losses.items())
    left_s = step_s * (total - number)
    start, end = ("\r", "") if sys.stdout.isatty() else ("", "\n")
    print(
        f"{start}{name} {stage} [{'#' * filled}{'.' * (24 - filled)}] {number}/{total} "
        f"{step_s:.2f} s/step, {left_s / 60:.1f} min left  {words}",
        end=end,
        flush=True,
    )
