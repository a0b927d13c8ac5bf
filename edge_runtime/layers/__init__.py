"""Layers: what scenes are made of. One file per kind; a layer draws, and reads nothing but what it is handed."""

from collections.abc import Mapping

import numpy as np

from edge_runtime.config.scenes import (
    AnyLayerConfig,
    CutoutConfig,
    FillConfig,
    ParticlesConfig,
    PictureConfig,
    TextConfig,
)
from edge_runtime.layers.cutout import CutoutLayer
from edge_runtime.layers.fill import FillLayer
from edge_runtime.layers.particles import ParticlesLayer
from edge_runtime.layers.picture import PictureLayer, PictureSource
from edge_runtime.layers.text import TextLayer
from edge_runtime.scene import Layer

__all__ = ["CutoutLayer", "FillLayer", "ParticlesLayer", "PictureLayer", "PictureSource", "TextLayer", "open_layer"]


def open_layer(config: AnyLayerConfig, *, sources: Mapping[str, PictureSource], rng: np.random.Generator) -> Layer:
    """Build the layer that `config` describes.

    Args:
        config: one layer of a scene.
        sources: every picture that travels in a slot, by name; all that the config names must be there.
        rng: the layer's own generator, seeded by the caller: the same seed draws the same frames.

    Raises:
        ConfigError: a font could not be read.
    """
    match config:
        case PictureConfig():
            return PictureLayer(config, sources=sources, rng=rng)
        case CutoutConfig():
            return CutoutLayer(config, sources=sources)
        case FillConfig():
            return FillLayer(config, rng=rng)
        case TextConfig():
            return TextLayer(config)
        case ParticlesConfig():
            return ParticlesLayer(config, rng=rng)
