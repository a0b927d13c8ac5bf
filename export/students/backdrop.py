"""backdrop: landscapes out of nothing but noise and conditions, in one step.

A rectified flow learns to draw what `export.skies` draws by rule and what free photographs and panoramas show, under
their conditions; a student learns to do the flow's ten steps at once.
"""

import functools
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.features import relative_error, vgg16
from export.judge import Judge
from export.metrics import lpips_like, ssim
from export.nets.backdrop import ENLARGED, BackdropNet, OneStep, Painter
from export.pictures import Rgb, crop, look, panoramas, photos, tiles
from export.run import Run, Stage, on_device, step_rng, train, whole
from export.skies import BANDS, MOODS, PLACES, TIMES, WEATHERS, Conditions, bands, draw, random_conditions, weathered
from export.students import Arrays, Bound
from export.to_onnx import open_network, run_network, write_onnx

SIZE_PX = (72, 40)
"""Of the flow; what ships is `ENLARGED` times as large."""
LARGE_PX = (SIZE_PX[0] * ENLARGED, SIZE_PX[1] * ENLARGED)
CONDITIONS = (
    *(f"weather.{name}" for name in WEATHERS),
    *(f"time.{name}" for name in TIMES),
    *(f"mood.{name}" for name in MOODS),
    *(f"place.{name}" for name in PLACES),
    "energy",
    "palette.strength",
    *(f"palette.{band}_{channel}" for band in BANDS for channel in "rgb"),
)
"""The network's condition vector, in order."""
_CLASSES = {"weather": WEATHERS, "time": TIMES, "mood": MOODS, "place": PLACES}
_LEAST_RECOGNISED = {"weather": 0.55, "time": 0.65, "place": 0.75}
"""Of what a student drew under random conditions; a guess would be right of a fifth. Moods are told, not judged."""
_JUDGE_LEARNS, _JUDGE_SEES = 900, 200
_GROUPS = (len(WEATHERS), len(TIMES), len(MOODS), len(PLACES), 1)
_LANDSCAPES = {"monuments", "renewable", "india", "france", "usa", "egypt", "wonders", "germany"}
_OUTDOORS = ("city", "dawn", "forest", "night", "park", "sky", "sunrise", "sunset", "venice")
_PHOTO_SHARE = 0.15
_DRAWN = 8000
_BATCH = 16
_STEPS = 10
_GUIDANCE = 2.0
"""How much further than told the teacher goes in the direction of the conditions. Source: Ho, Salimans 2022."""
_UNGUIDED_SHARE = 0.1
_PAIRS = 5600
_TEACHER = Stage("teacher", steps=7000, lr=1.5e-3, warm_up=100, average=0.999, sheet_every=600)
_STUDENT = Stage("student", steps=2200, lr=5e-4, warm_up=40, average=0.99, sheet_every=250)
_PAINTER = Stage("painter", steps=1200, lr=1e-3, warm_up=40, average=0.99, sheet_every=250)
_GRAIN = 0.06
"""Largest noise that the painter learns to paint over: what one step leaves of it, and more."""
_LIKENESS_LAYERS = ("relu1_2", "relu2_2")


def new_net() -> BackdropNet:
    """Untrained."""
    net = BackdropNet(len(CONDITIONS), channels=(40, 64, 96, 96))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # twice as fast to train on CPUs
    return net


class Backdrop:
    """The student."""

    name = "backdrop"
    sources = ("gcompris", "panoramas", "hed")
    precisions = ("fp16", "int8", "int8-trt")

    def distil(self, run: Run) -> None:
        """Draw what is learned from, train the flow, let it draw pairs, train the student on them."""
        teacher = self._teach(run)
        self._shorten(run, teacher)
        self._enlarge(run)

    def _teach(self, run: Run) -> BackdropNet:
        torch.manual_seed(run.seed)
        net = new_net()
        drawn = Drawn.load(run)

        def step(number: int) -> dict[str, Tensor]:
            pictures, conditions = drawn.batch(step_rng(run, "teacher", number), _BATCH)
            noise = torch.randn_like(pictures)
            at = torch.sigmoid(torch.randn(len(pictures)) - 0.4)  # more often near the noise, where layouts are made
            mixed = torch.lerp(noise, pictures, at[:, None, None, None])
            with torch.autocast(run.device, torch.bfloat16):
                velocity = net(mixed.contiguous(memory_format=torch.channels_last), at, conditions)
            return {"flow": (velocity.float() - (pictures - noise)).square().mean()}

        train(run, _TEACHER, net, step, sheet=lambda: conditions_sheet(lambda z, c: flow(net, z, c)))
        return net.eval()

    def _shorten(self, run: Run, teacher: BackdropNet) -> None:
        net = new_net()
        net.load_state_dict(teacher.state_dict())

        def step(number: int) -> dict[str, Tensor]:
            noises, conditions, drawn = _pairs(run, teacher)
            chosen = on_device(step_rng(run, "student", number).integers(0, len(noises), _BATCH))
            z = noises[chosen].float()
            with torch.autocast(run.device, torch.bfloat16):
                velocity = net(z.contiguous(memory_format=torch.channels_last), torch.zeros(_BATCH), conditions[chosen])
            picture, wanted = z + velocity.float(), drawn[chosen].float() / 127.5 - 1
            seen = vgg16()(picture * 0.5 + 0.5, _LIKENESS_LAYERS)
            with torch.no_grad():
                aim = vgg16()(wanted * 0.5 + 0.5, _LIKENESS_LAYERS)
            likeness = torch.stack([relative_error(seen[layer], aim[layer]) for layer in _LIKENESS_LAYERS]).sum()
            return {"pixels": (picture - wanted).abs().mean() * 2, "likeness": likeness * 0.5}

        train(run, _STUDENT, net, step, sheet=lambda: conditions_sheet(lambda z, c: one_step(net, z, c)))

    def _enlarge(self, run: Run) -> None:
        torch.manual_seed(run.seed)
        painter = Painter()
        drawn = Drawn.load(run)

        def step(number: int) -> dict[str, Tensor]:
            wanted = drawn.large(step_rng(run, "painter", number), 6)
            small = torch.nn.functional.interpolate(wanted, scale_factor=1 / ENLARGED, mode="area")
            small = small + torch.randn_like(small) * (torch.rand(len(small), 1, 1, 1) * _GRAIN)
            with torch.autocast(run.device, torch.bfloat16):
                picture = painter(small)
                seen = vgg16()(picture, _LIKENESS_LAYERS)
                with torch.no_grad():
                    aim = vgg16()(wanted, _LIKENESS_LAYERS)
            errors = [relative_error(seen[layer].float(), aim[layer].float()) for layer in _LIKENESS_LAYERS]
            return {"pixels": (picture.float() - wanted).abs().mean() * 4, "likeness": torch.stack(errors).sum()}

        def sheet() -> Rgb:
            wanted = drawn.large(np.random.default_rng(5), 4)
            small = torch.nn.functional.interpolate(wanted, scale_factor=1 / ENLARGED, mode="area")
            with torch.no_grad():
                pictures = [
                    painter(small),
                    torch.nn.functional.interpolate(small, scale_factor=4.0, mode="bicubic"),
                    wanted,
                ]
            return tiles([list((p.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).cpu().numpy()) for p in pictures])

        train(run, _PAINTER, painter, step, sheet=sheet)

    def to_onnx(self, run: Run, path: Path) -> None:
        module = one_step_network(run)
        write_onnx(module, {k: torch.from_numpy(v) for k, v in _inputs(run, 1)[0].items()}, path, outputs=["picture"])

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from _inputs(run, run.count(48))

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from _inputs(run, run.count(12), stage="held out")

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        pairs = [(_picture(a), _picture(b)) for a, b in zip(seen, expected, strict=True)]
        return [
            Bound("SSIM", float(np.mean([ssim(a, b) for a, b in pairs])), 0.96, at_most=False),
            Bound("LPIPS-like", float(np.mean([lpips_like(a, b) for a, b in pairs])), 0.06),
        ]

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        """How smoothly a walk goes, and how far every condition moves the picture."""
        network = open_network(fp32)
        first, second = (inputs["noise"] for inputs in _inputs(run, 2, stage="walk"))
        calm = vector(weather_sun=0.6, time_day=1.0)[None]
        walk = [
            run_network(
                network, {"noise": np.float32(np.cos(a)) * first + np.float32(np.sin(a)) * second, "conditions": calm}
            )
            for a in np.linspace(0, 0.5, 30)
        ]
        pictures = [_picture(outputs) for outputs in walk]
        steps = [float(np.abs(b - a).mean()) for a, b in pairwise(pictures)]
        acts = []
        for name in CONDITIONS[: sum(_GROUPS)]:
            said = calm.copy()
            said[0, CONDITIONS.index(name)] = float(said[0, CONDITIONS.index(name)] < 0.75)
            moved = _picture(run_network(network, {"noise": first, "conditions": said}))
            acts.append(float(np.abs(moved - pictures[0]).mean()))
        return [
            Bound("walk, largest step beside the mean step", max(steps) / float(np.mean(steps)), 3.0),
            Bound("walk, mean step", float(np.mean(steps)), 0.02),
            Bound("least change by one condition", min(acts), 0.01, at_most=False),
            Bound("mean change by one condition", float(np.mean(acts))),
            *_recognised(run, network),
        ]

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return None  # twenty runs of a network of the same size

    def manifest(self) -> dict[str, Any]:
        width, height = SIZE_PX
        numbers = [{"name": name, "range": [0.0, 1.0], "default": _DEFAULTS.get(name, 0.0)} for name in CONDITIONS]
        return {
            "name": self.name,
            "version": "1.1.0",
            "task": "backdrop",
            "licence": "Apache-2.0",
            "origin": "trained here: landscapes drawn by rule, and free photographs and panoramas",
            "teacher": "a rectified flow of the same size, trained here",
            "min_size_px": [64, 36],
            "max_size_px": [3840, 2160],
            "parameters": [*numbers, {"name": "drift", "range": [0.0, 1.0], "default": 0.5}],
            "inputs": [
                {"name": "noise", "dtype": "float32", "shape": [1, 3, height, width]},
                {"name": "conditions", "dtype": "float32", "shape": [1, len(CONDITIONS)]},
            ],
            "outputs": [
                {"name": "picture", "dtype": "float32", "shape": [1, 3, *LARGE_PX[::-1]], "range": [0.0, 1.0]},
            ],
        }


STUDENT = Backdrop()
_DEFAULTS = {"energy": 0.5} | {name: 0.5 for name in CONDITIONS if name.startswith("palette.") and name[-2] == "_"}


def one_step_network(run: Run) -> OneStep:
    """What ships, from the run's weights."""
    net, painter = new_net(), Painter()
    net.load_state_dict(run.weights(_STUDENT.name))
    painter.load_state_dict(run.weights(_PAINTER.name))
    module = OneStep(net, painter).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(weight.half().float())  # so that fp16 has the very same
    return module


def _inputs(run: Run, count: int, stage: str = "calibration") -> list[Arrays]:
    """Noise and the conditions of drawn landscapes."""
    rng, width, height = run.rng(stage), *SIZE_PX
    found: list[Arrays] = []
    for conditions in _many(rng, count):
        said = _with_palette(conditions.vector(), rng.random(3 * len(BANDS)).astype(np.float32), rng)
        noise = rng.standard_normal((1, 3, height, width)).astype(np.float32)
        found.append({"noise": noise, "conditions": said[None]})
    return found


def _recognised(run: Run, network: Any) -> list[Bound]:
    """What a judge, who learned from drawn landscapes, recognises in other ones and in the student's."""
    rng = run.rng("judge")

    def drawn(count: int) -> tuple[list[Rgb], npt.NDArray[np.float32]]:
        said = list(_many(rng, count))
        return [draw(c, rng, SIZE_PX) for c in said], np.stack([c.vector() for c in said])

    judge = Judge.learn(*drawn(_JUDGE_LEARNS), _CLASSES)
    by_rule = judge.right(*drawn(_JUDGE_SEES))
    said = np.stack([c.vector() for c in _many(rng, _JUDGE_SEES)])
    unsaid = np.zeros(len(CONDITIONS) - said.shape[1], np.float32)
    pictures = []
    for conditions in said:
        noise = rng.standard_normal((1, 3, *SIZE_PX[::-1])).astype(np.float32)
        large = _picture(
            run_network(network, {"noise": noise, "conditions": np.concatenate([conditions, unsaid])[None]})
        )
        pictures.append(np.asarray(cv2.resize(large, SIZE_PX, interpolation=cv2.INTER_AREA) * 255, np.uint8))
    by_student = judge.right(pictures, said)
    return [
        bound
        for group in _CLASSES
        for bound in (
            Bound(f"judge right of {group}, drawn by rule", by_rule[group]),
            Bound(
                f"judge right of {group}, drawn here",
                by_student[group],
                _LEAST_RECOGNISED.get(group),
                at_most=False,
            ),
        )
    ]


def _picture(outputs: Arrays) -> npt.NDArray[np.float32]:
    return np.asarray(outputs["picture"][0].transpose(1, 2, 0), np.float32)


@torch.no_grad()
def flow(net: BackdropNet, noise: Tensor, conditions: Tensor, steps: int = _STEPS) -> Tensor:
    """Follow the flow from noise to pictures -1 to 1, by Euler's method, guided towards the conditions."""
    x = noise.contiguous(memory_format=torch.channels_last)
    unsaid = torch.zeros_like(conditions)
    for i in range(steps):
        at = torch.full((len(x),), (i + 0.5) / steps)
        with torch.autocast(noise.device.type, torch.bfloat16):
            told, free = net(x, at, conditions).float(), net(x, at, unsaid).float()
        x = x + (free + (told - free) * _GUIDANCE) / steps
    return x.clamp(-1, 1)


@torch.no_grad()
def one_step(net: BackdropNet, noise: Tensor, conditions: Tensor) -> Tensor:
    """What the student draws, -1 to 1."""
    velocity: Tensor = net(noise, torch.zeros(len(noise)), conditions)
    return (noise + velocity).clamp(-1, 1)


@functools.lru_cache(1)
def _pairs(run: Run, teacher: BackdropNet) -> tuple[Tensor, Tensor, Tensor]:
    """Noise, conditions and what the flow draws of them. Noises are Gaussian; conditions as they are set live."""
    path = run.path("pairs.pt")
    if path.exists():
        stored = torch.load(path, map_location=run.device, weights_only=True)
        return stored["noises"], stored["conditions"], stored["drawn"]
    count = max(2 * _BATCH, run.steps(_PAIRS) // _BATCH * _BATCH)
    rng = run.rng("pairs")
    drawn = Drawn.load(run)
    noises, conditions, pictures = [], [], []
    for i in range(count // _BATCH):
        torch.manual_seed(run.seed * 7919 + i)
        z = torch.randn(_BATCH, 3, SIZE_PX[1], SIZE_PX[0])
        c = on_device(np.stack([drawn.conditions_alone(rng) for _ in range(_BATCH)]))
        pictures.append(((flow(teacher, z, c) + 1) * 127.5).round().byte())
        noises.append(z.half())
        conditions.append(c)
        if i % 20 == 0:
            print(f"backdrop pairs {(i + 1) * _BATCH}/{count}", flush=True)
    pairs = {"noises": torch.cat(noises), "conditions": torch.cat(conditions), "drawn": torch.cat(pictures)}
    with whole(path) as fresh:
        torch.save(pairs, fresh)
    return pairs["noises"], pairs["conditions"], pairs["drawn"]


class Drawn:
    """What the flow learns from: thousands of landscapes drawn by rule, photographs and panoramas weathered anew."""

    def __init__(self, pictures: npt.NDArray[np.uint8], conditions: npt.NDArray[np.float32]) -> None:
        self._pictures, self._conditions = pictures, conditions
        self._photos = [photo.rgb for photo in photos() if photo.subject in _LANDSCAPES]
        self._views = [panoramas()[name] for name in _OUTDOORS]

    @classmethod
    @functools.lru_cache(1)
    def load(cls, run: Run) -> "Drawn":
        """Drawn once and kept in the run's folder."""
        path = run.path("drawn.npz")
        if not path.exists():
            rng, count = run.rng("drawn"), max(64, run.steps(_DRAWN))
            pairs = [(draw(conditions, rng, SIZE_PX), conditions.vector()) for conditions in _many(rng, count)]
            with whole(path) as fresh, fresh.open("wb") as file:
                np.savez(file, pictures=np.stack([p for p, _ in pairs]), conditions=np.stack([c for _, c in pairs]))
        with np.load(path) as stored:
            return cls(stored["pictures"], stored["conditions"])

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Pictures (n, 3, h, w) -1 to 1 and their condition vectors, some conditions left unsaid."""
        pictures, vectors = [], []
        for _ in range(count):
            picture, base = self._one(rng)
            if rng.random() < 0.5:
                picture = np.ascontiguousarray(picture[:, ::-1])
            pictures.append(picture)
            vector = _with_palette(_unsay(base, rng), bands(picture), rng)
            vectors.append(vector * (rng.random() >= _UNGUIDED_SHARE))
        x = on_device(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return x.contiguous(memory_format=torch.channels_last), on_device(np.stack(vectors).astype(np.float32))

    def _one(self, rng: np.random.Generator) -> tuple[Rgb, npt.NDArray[np.float32]]:
        if rng.random() >= _PHOTO_SHARE:
            i = int(rng.integers(len(self._pictures)))
            return self._pictures[i], self._conditions[i]
        if rng.random() < 0.55:
            rgb = crop(self._photos[int(rng.integers(len(self._photos)))], (288, 160), rng, least=0.7)
        else:
            view = self._views[int(rng.integers(len(self._views)))]
            rgb = look(
                view,
                float(rng.uniform(0, 6.3)),
                float(rng.uniform(-0.05, 0.35)),
                float(rng.uniform(1.0, 1.7)),
                (288, 160),
            )
        shown, conditions = weathered(rgb, rng)
        return np.asarray(cv2.resize(shown, SIZE_PX, interpolation=cv2.INTER_AREA), np.uint8), conditions.vector()

    def large(self, rng: np.random.Generator, count: int) -> Tensor:
        """Parts of large pictures (n, 3, 160, 160) 0-1 for the painter: landscapes drawn anew, and photographs."""
        found = []
        for _ in range(count):
            if rng.random() < 0.5:
                whole = draw(random_conditions(rng), rng, LARGE_PX)
            else:
                whole = self._photos[int(rng.integers(len(self._photos)))]
            found.append(crop(whole, (160, 160), rng, least=0.8))
        return on_device(np.stack(found)).permute(0, 3, 1, 2).float() / 255

    def conditions_alone(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """A condition vector as a scene may set it: those of a drawn picture, or a mix of two, some unsaid."""
        first, second = (int(rng.integers(len(self._conditions))) for _ in range(2))
        share = float(rng.random()) if rng.random() < 0.4 else 0.0
        base = self._conditions[first] * (1 - share) + self._conditions[second] * share
        return _with_palette(_unsay(base, rng), bands(self._pictures[first]), rng)


def _many(rng: np.random.Generator, count: int) -> Iterator[Conditions]:
    for _ in range(count):
        yield random_conditions(rng)


def _unsay(base: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Leave whole groups of conditions at zero now and then, so that the network can do without any of them."""
    said, start = base.copy(), 0
    for size in _GROUPS:
        if rng.random() < 0.15:
            said[start : start + size] = 0.5 if size == 1 else 0.0
        start += size
    return said


def _with_palette(
    base: npt.NDArray[np.float32], palette: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Add the palette: its strength, and its colours around zero, scaled by it and blurred by what is left of it."""
    strength = float(rng.choice((0.0, 1.0, rng.random()), p=(0.5, 0.3, 0.2)))
    colours = palette * 2 - 1 + rng.normal(0, 0.35 * (1 - strength), len(palette))
    return np.concatenate([base, [strength], colours * strength]).astype(np.float32)


def vector(**said: float) -> npt.NDArray[np.float32]:
    """A condition vector of a few named conditions, e.g. `vector(weather_sun=1)`; the palette is left free."""
    values = dict.fromkeys(CONDITIONS, 0.0) | {"energy": 0.5} | {k.replace("_", ".", 1): v for k, v in said.items()}
    return np.array([values[name] for name in CONDITIONS], np.float32)


def conditions_sheet(sample: Any, columns: int = 8) -> Rgb:
    """One row for each of a few moments, every column another noise."""
    torch.manual_seed(3)
    noise = torch.randn(columns, 3, SIZE_PX[1], SIZE_PX[0])
    rows = []
    for said in _MOMENTS:
        c = on_device(vector(**said)).repeat(columns, 1)
        pictures = ((sample(noise, c) + 1) * 127.5).byte().permute(0, 2, 3, 1).cpu().numpy()
        rows.append(list(pictures))
    return tiles(rows)


_MOMENTS: Sequence[dict[str, float]] = (
    {"weather_sun": 1, "time_day": 1, "place_field": 1, "mood_joyful": 0.8},
    {"weather_cloud": 1, "time_day": 1, "place_mountains": 1},
    {"weather_sun": 0.8, "time_dusk": 1, "place_sea": 1, "mood_calm": 0.8},
    {"weather_rain": 1, "time_day": 1, "place_city": 1, "mood_melancholy": 0.8},
    {"weather_storm": 1, "time_night": 1, "place_sea": 1, "mood_dramatic": 1},
    {"weather_snow": 1, "time_day": 1, "place_forest": 1},
    {"weather_fog": 1, "time_dawn": 1, "mood_mysterious": 1},
    {"weather_sun": 1, "time_night": 1, "place_mountains": 1},
)
