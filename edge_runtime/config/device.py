"""The whole device config."""

import base64
import contextlib
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge_runtime.config.base import Name, Rate, SizePx, Strict, Unit
from edge_runtime.config.inputs import CameraConfig, ReplayConfig, SignalConfig, SunConfig
from edge_runtime.config.models import ModelConfig
from edge_runtime.config.scenes import (
    PROCEDURAL,
    AnyLayerConfig,
    BindingConfig,
    CutoutConfig,
    PictureConfig,
    SceneConfig,
)

BUILT_IN_SIGNALS = (
    "clock.hour",
    "clock.day_fraction",
    "sun.elevation_deg",
    "sun.daylight",
    "prompt.text",
    "device.temperature_c",
    "device.memory_free_mb",
    "device.vram_free_mb",
    "governor.rung",
    "show.scenes",
)
"""Always on the board: written by the hub, the last two by the show. `show.scenes`: those on screen, with commas."""
FIXED_SIGNALS = tuple(name for name in BUILT_IN_SIGNALS if name != "prompt.text")
"""Those that no venue may feed; a prompt may come by command and by topic alike."""
BUILT_IN_RANGES: dict[str, tuple[float, float]] = {
    "clock.hour": (0, 24),
    "sun.elevation_deg": (-90, 90),
    "device.temperature_c": (0, 100),
    "device.memory_free_mb": (0, 4096),
    "device.vram_free_mb": (0, 4096),
    "governor.rung": (0, 8),
}


class DisplayConfig(Strict):
    """Where the picture goes. The canvas is what scenes draw on; it is scaled to whatever the screen is."""

    kind: Literal["auto", "surface", "headless"] = "auto"
    canvas_px: SizePx = (1280, 720)
    windowed: bool = False
    window_px: SizePx | None = Field(None, description="size of the window where windowed; default: the canvas")
    screen: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        0, description="which one, counted from 0; all: one picture over every output of the X server"
    )
    rotation: Literal[0, 90, 180, 270] = 0
    fit: Literal["contain", "cover", "stretch"] = "contain"
    brightness: float = Field(100.0, ge=0, le=100, description="percent")
    vsync: bool = Field(True, description="let the display pace where it truly blocks; measured, never assumed")
    show_cursor: bool = False
    screenshots: Literal["allowed", "blurred", "forbidden"] = Field("allowed", description="and the preview likewise")


class MqttConfig(Strict):
    """The venue's broker, MQTT 5. Secrets come from EDGE_RUNTIME_MQTT_USER and _PASSWORD or a file, never from here."""

    url: str = Field(pattern=r"^mqtts?://[^/@\s]+$", description="mqtt://host:port, or mqtts:// for TLS")
    groups: list[Name] = []
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    password_file: str | None = None
    keepalive_s: int = Field(15, ge=2, le=300)
    trust_clock: bool = Field(True, description="false: commands are judged by their arrival, not by issued_at")


class LabelConfig(Strict):
    """The visible AI label. On by default; where the law of the place asks for it, leave it so."""

    enabled: bool = True
    text: str = Field("AI-generated", min_length=1, max_length=60)
    corner: Literal["bottom-right", "bottom-left", "top-right", "top-left"] = "bottom-right"
    opacity: Unit = 0.75


class TrustConfig(Strict):
    """Whose models may run. A bundle's hashes are always checked; its signature only where this asks for it."""

    require_signed_models: bool = False
    trusted_keys: list[str] = Field([], description="Ed25519 public keys: 32 bytes, hexadecimal or base64")

    @property
    def key_bytes(self) -> list[bytes]:
        """The trusted keys, 32 bytes each."""
        return [_key_bytes(key) for key in self.trusted_keys]

    @model_validator(mode="after")
    def _usable(self) -> "TrustConfig":
        for key in self.trusted_keys:
            _key_bytes(key)
        if self.require_signed_models and not self.trusted_keys:
            raise ValueError("require_signed_models = true needs trusted_keys, or no model may run")
        return self


def _key_bytes(text: str) -> bytes:
    with contextlib.suppress(ValueError):
        raw = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
        if len(raw) == 32:
            return raw
    raise ValueError(f"trusted_keys: {text[:60]!r} is no Ed25519 public key: 32 bytes, hexadecimal or base64")


class RungModelConfig(Strict):
    """What one rung does to one model."""

    size_px: SizePx | None = None
    rate_hz: Rate | None = None


class RungConfig(Strict):
    """One rung of the quality ladder, best first. What it leaves out stays as the config has it."""

    name: Name
    models: dict[str, RungModelConfig] = {}
    canvas_scale: float = Field(1.0, gt=0, le=1)
    hide: list[str] = Field([], description="layers not drawn: scene/layer")


class GovernorConfig(Strict):
    """When to step down and up the ladder."""

    window_frames: int = Field(60, ge=10, le=600)
    budget: float = Field(0.85, gt=0, le=1, description="p95 of a window's drawing time, of the frame period")
    headroom: float = Field(0.5, gt=0, le=1, description="below this the window was easy")
    max_missed: int = Field(2, ge=0, description="deadlines a window may miss")
    climb_windows: int = Field(20, ge=1, description="easy windows before one step up")
    max_temperature_c: float | None = Field(None, gt=0, description="of the warmest sensor, the NVIDIA card's included")
    min_memory_free_mb: float | None = Field(None, ge=0)
    min_vram_free_mb: float | None = Field(None, ge=0, description="of an NVIDIA card with memory of its own")

    @model_validator(mode="after")
    def _apart(self) -> "GovernorConfig":
        if self.headroom >= self.budget:
            raise ValueError(
                f"headroom {self.headroom} must be below budget {self.budget}, or the picture flickers between rungs"
            )
        return self


class DeviceConfig(Strict):
    """Everything that makes a box this installation."""

    device_id: str = Field(pattern=r"^[a-z0-9-]+$", max_length=60)
    rate_hz: Annotated[float, Field(ge=5, le=240)] | Literal["display"] = 60.0
    seed: int = 0
    start_scene: str | None = Field(None, description="default: the first")
    display: DisplayConfig = DisplayConfig()
    label: LabelConfig = LabelConfig()
    trust: TrustConfig = TrustConfig()
    mqtt: MqttConfig | None = None
    sun: SunConfig | None = None
    replay: ReplayConfig | None = None
    cameras: list[CameraConfig] = []
    signals: list[SignalConfig] = []
    models: list[ModelConfig] = []
    scenes: list[SceneConfig] = Field(min_length=1)
    ladder: list[RungConfig] = []
    governor: GovernorConfig = GovernorConfig()

    @property
    def first_scene(self) -> str:
        """The scene shown when nothing else was asked for."""
        return self.start_scene or self.scenes[0].name

    @property
    def rungs(self) -> tuple[RungConfig, ...]:
        """The ladder; one full rung where none is given."""
        return tuple(self.ladder) or (RungConfig(name="full"),)

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers, in order of first use."""
        return tuple(dict.fromkeys(model.worker for model in self.models))

    @property
    def sources(self) -> dict[str, tuple[SizePx, float]]:
        """Every picture that travels in a slot: its largest size and its rate."""
        cameras = {f"camera.{camera.name}": (camera.size_px, camera.rate_hz) for camera in self.cameras}
        models = {model.output: (model.size_px, model.rate_hz) for model in self.models if model.output}
        return {**cameras, **models}

    @property
    def signal_names(self) -> tuple[str, ...]:
        """The rows of the board: built-in ones first."""
        return tuple(dict.fromkeys([*BUILT_IN_SIGNALS, *(signal.name for signal in self.signals)]))

    def readings(self, model: str) -> dict[str, str]:
        """What a model tells that is on the board: reading to the signal it becomes."""
        pairs = [(signal.model.partition("."), signal.name) for signal in self.signals if signal.model]
        return {reading: name for (owner, _, reading), name in pairs if owner == model}

    def models_of(self, scenes: Iterable[str]) -> frozenset[str]:
        """The models that these scenes need: for their pictures, for what drives them, and for what those need in turn.

        Models with `rest = "never"` are always needed.
        """
        layers = [layer for scene in self.scenes if scene.name in set(scenes) for layer in scene.layers]
        wanted = {bind.signal for layer in layers for bind in layer.bind.values()}
        for layer in layers:
            if isinstance(layer, PictureConfig | CutoutConfig):
                wanted.update(layer.sources)
        gives = {model.name: {model.output, *self.readings(model.name).values()} for model in self.models}
        needed = {model.name for model in self.models if model.rest == "never"}
        while True:
            more = {name for name, given in gives.items() if given & wanted} | needed
            users = [model for model in self.models if model.name in more]
            uses = {name for model in users for name in (*model.inputs, *(b.signal for b in model.bind.values()))}
            if more == needed and uses <= wanted:
                return frozenset(needed)
            needed, wanted = more, wanted | uses

    def signal_range(self, name: str) -> tuple[float, float]:
        """The range of a signal; a binding's `from` where it gives none."""
        for signal in self.signals:
            if signal.name == name:
                return signal.range
        return BUILT_IN_RANGES.get(name, (0.0, 1.0))

    def scene(self, name: str) -> SceneConfig | None:
        """The scene of that name."""
        return next((scene for scene in self.scenes if scene.name == name), None)

    @model_validator(mode="after")
    def _consistent(self) -> "DeviceConfig":
        """Every name that is used is declared, once."""
        for what, names in (
            ("cameras", [camera.name for camera in self.cameras]),
            ("signals", [*FIXED_SIGNALS, *(signal.name for signal in self.signals)]),
            ("models", [model.name for model in self.models]),
            ("models.output", [model.output for model in self.models if model.output]),
            ("scenes", [scene.name for scene in self.scenes]),
            ("ladder", [rung.name for rung in self.ladder]),
        ):
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{what}: {twice[0]!r} is there twice; names are unique")
        for key, name, known in self._uses():
            if name not in known:
                raise ValueError(f"{key} = {name!r} is not declared; known: {', '.join(sorted(known)) or 'none'}")
        return self

    def _uses(self) -> list[tuple[str, str, set[str]]]:
        sources, signals = set(self.sources), set(self.signal_names)
        uses = [("start_scene", self.first_scene, {scene.name for scene in self.scenes})]
        models = {model.name for model in self.models}
        for i, signal in enumerate(self.signals):
            if signal.model:
                uses.append((f"signals[{i}].model", signal.model.partition(".")[0], models))
        for i, model in enumerate(self.models):
            uses += [(f"models[{i}].input", name, sources) for name in model.inputs]
            uses += [(f"models[{i}].bind.{key}.signal", bind.signal, signals) for key, bind in model.bind.items()]
        for i, scene in enumerate(self.scenes):
            for j, layer in enumerate(scene.layers):
                uses += _layer_uses(f"scenes[{i}].layers[{j}]", layer, sources, signals)
        layers = {f"{scene.name}/{layer.name}" for scene in self.scenes for layer in scene.layers}
        for i, rung in enumerate(self.ladder):
            uses += [(f"ladder[{i}].models", name, models) for name in rung.models]
            uses += [(f"ladder[{i}].hide", name, layers) for name in rung.hide]
        return uses


def _layer_uses(
    key: str, layer: AnyLayerConfig, sources: set[str], signals: set[str]
) -> list[tuple[str, str, set[str]]]:
    binds: dict[str, BindingConfig] = layer.bind
    uses = [(f"{key}.bind.{name}.signal", bind.signal, signals) for name, bind in binds.items()]
    if isinstance(layer, PictureConfig):
        known = sources | {PROCEDURAL}
        uses += [(f"{key}.source", layer.source, known)] + [(f"{key}.fallback", name, known) for name in layer.fallback]
    if isinstance(layer, CutoutConfig):
        uses.append((f"{key}.source", layer.source, sources))
    return uses
