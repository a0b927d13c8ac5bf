"""The shared memory of one device: created once by the supervisor, handed to every part by descriptor."""

import mmap
import os

from edge_runtime.config import DeviceConfig
from edge_runtime.layout import TRACE_BYTES, board_bytes, choose_ring, slot_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.pulse import Pulse

LARGEST_SCREEN_BYTES = 3840 * 2160 * 4
"""Of the slot that screenshots are taken from. Memory is used only where it is touched."""


class Regions:
    """Config, board, pulse, trace and slots. Nothing has a name in the file system, so nothing can be left behind."""

    def __init__(self, config: DeviceConfig, parts: list[str]) -> None:
        words = config.model_dump_json(by_alias=True).encode()
        sizes = {
            "config": len(words),  # larger than a message may be, where a venue has many scenes
            "pulse": Pulse.size_bytes(len(parts)),
            "board": board_bytes(len(config.signal_names)),
            "trace": TRACE_BYTES,
            "slot:presented": slot_bytes(LARGEST_SCREEN_BYTES),
        }
        for source, ((width, height), _) in config.sources.items():
            sizes[f"slot:{source}"] = slot_bytes(_largest(config, source, width, height) * 4)
        self.descriptors = {name: create_region(name, size_bytes) for name, size_bytes in sizes.items()}
        self._maps: dict[str, mmap.mmap] = {name: map_region(fd) for name, fd in self.descriptors.items()}
        self._maps["config"][:] = words
        self.pulse = Pulse(self._maps["pulse"], parts)

    def choose_ring(self, source: str, ring: int) -> None:
        """Have readers of `source` follow `ring` as soon as something is published there."""
        choose_ring(self._maps[f"slot:{source}"], ring)

    def close(self) -> None:
        """Give up our share; the memory goes when the last part is gone. Maps are freed with the process."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors.clear()


def written_by(config: DeviceConfig, part: str) -> list[str]:
    """The slots that a part writes."""
    kind, _, label = part.partition(":")
    if kind == "camera":
        return [f"camera.{label}"]
    if kind == "worker":
        return [model.output for model in config.models if model.worker == label and model.output]
    return ["presented"] if kind == "show" else []


def _largest(config: DeviceConfig, source: str, width: int, height: int) -> int:
    """Pixels of the largest picture that a source gives on any rung."""
    sizes = [(width, height)]
    for model in config.models:
        if model.output == source:
            changes = [rung.models[model.name] for rung in config.rungs if model.name in rung.models]
            sizes += [change.size_px for change in changes if change.size_px]
    return max(w * h for w, h in sizes)
