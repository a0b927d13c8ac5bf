"""Scenes, their layers and the bindings that drive them: the artist's part of the file."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from edge_runtime.config.base import Name, Rgb, SignalName, Strict, Unit
from edge_runtime.layout import VECTOR_LENGTH

PROCEDURAL = "procedural"
"""The picture that is always there: every fallback list ends in it."""


class OneEuroConfig(Strict):
    """A One-Euro filter: steady when the signal rests, quick when it moves. Source: Casiez et al., CHI 2012."""

    min_cutoff_hz: float = Field(1.0, gt=0)
    beta: float = Field(0.0, ge=0)


class BindingConfig(Strict):
    """Maps one signal to one parameter. `fallback` is in the parameter's unit and wins over the signal's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    signal: SignalName
    from_: tuple[float, float] | None = Field(None, validation_alias=AliasChoices("from", "from_"))
    to: tuple[float, float] | None = None
    curve: Literal["linear", "smooth", "square", "root"] = "linear"
    smooth_s: float = Field(0.0, ge=0)
    one_euro: OneEuroConfig | None = None
    hysteresis: float = Field(0.0, ge=0, description="changes smaller than this, in the parameter's unit, are ignored")
    rate_limit: float | None = Field(None, gt=0, description="largest change a second, in the parameter's unit")
    stale_after_s: float | None = Field(None, gt=0)
    fallback: float | str | None = None
    format: str | None = Field(None, description="for a text parameter: '{:.0f} °C'")

    @model_validator(mode="after")
    def _one_filter(self) -> "BindingConfig":
        if self.one_euro and self.smooth_s:
            raise ValueError("smooth_s and one_euro exclude each other; keep one")
        return self

    def fault(self, limits: tuple[float, float] | None) -> str | None:
        """What keeps it from driving a parameter of these limits (None: a text), after the binding's key; or None."""
        return self._text_fault() if limits is None else self._number_fault(*limits)

    def _text_fault(self) -> str | None:
        for key in ("from_", "to", "curve", "smooth_s", "one_euro", "hysteresis", "rate_limit"):
            if getattr(self, key) != type(self).model_fields[key].default:
                return f".{key.rstrip('_')} is for numbers and this is a text; use format, or remove it"
        trials = ((0.0,), ("",), (0.0,) * VECTOR_LENGTH)
        if self.format is not None and not any(_fits(self.format, trial) for trial in trials):
            return f".format = {self.format!r}: expected e.g. '{{:.0f}} °C', or '{{:.0f}} / {{:.0f}}' of a vector"
        return None

    def _number_fault(self, low: float, high: float) -> str | None:
        if self.format is not None:
            return ".format is for texts and this is a number; remove it"
        if isinstance(self.fallback, str):
            return f".fallback = {self.fallback!r}: expected a number from {low:g} to {high:g}"
        within = f"is not within {low:g} to {high:g}"
        if self.to is not None and not all(low <= end <= high for end in self.to):
            return f".to = [{self.to[0]:g}, {self.to[1]:g}] {within}"
        if self.fallback is not None and not low <= self.fallback <= high:
            return f".fallback = {self.fallback:g} {within}"
        return None


def _fits(template: str, trial: tuple[float | str, ...]) -> bool:
    try:
        template.format(*trial)
    except (ValueError, LookupError, AttributeError, TypeError):
        return False
    return True


class LayerConfig(Strict):
    """What every layer has. `bind` maps parameters (the class's `PARAMETERS`) to signals."""

    PARAMETERS: ClassVar[dict[str, tuple[float, float] | None]] = {"opacity": (0.0, 1.0)}
    """Parameters that signals and commands may drive, with their range; None: a text."""

    name: Name = ""
    opacity: Unit = 1.0
    bind: dict[str, BindingConfig] = {}

    @model_validator(mode="after")
    def _known_parameters(self) -> "LayerConfig":
        for parameter, bind in self.bind.items():
            if parameter not in self.PARAMETERS:
                known = ", ".join(sorted(self.PARAMETERS))
                raise ValueError(f"bind.{parameter} is no parameter of this layer; known: {known}")
            if fault := bind.fault(self.PARAMETERS[parameter]):
                raise ValueError(f".bind.{parameter}{fault}")
        return self

    def default(self, parameter: str) -> float | str:
        """The parameter's value where nothing drives it."""
        value: float | str = getattr(self, parameter)
        return value


class PictureConfig(LayerConfig):
    """A picture from a camera or a model, cross-faded to its fallbacks when it goes stale."""

    PARAMETERS = {"opacity": (0.0, 1.0), "zoom": (1.0, 8.0), "saturation": (0.0, 2.0), "gain": (0.0, 2.0)}

    kind: Literal["picture"]
    source: str = Field(description="camera.NAME, picture.NAME (a model's output) or procedural")
    fallback: list[str] = Field([], description="sources shown when the one before is stale")
    stale_after_s: float | None = Field(None, gt=0, description="default: 3 intervals of the source, at least 0.25")
    fade_s: float = Field(0.4, ge=0, le=10)
    fit: Literal["cover", "contain", "stretch"] = "cover"
    mirror: bool = False
    zoom: float = Field(1.0, ge=1, le=8)
    saturation: float = Field(1.0, ge=0, le=2)
    gain: float = Field(1.0, ge=0, le=2)
    box: tuple[Unit, Unit, Unit, Unit] = Field((0, 0, 1, 1), description="left, top, right, bottom, 0-1 of the canvas")

    @property
    def sources(self) -> tuple[str, ...]:
        """What it may show, best first."""
        return (self.source, *self.fallback)


class CutoutConfig(LayerConfig):
    """A model's picture with holes, over what is below: a person, a skeleton. Fades away when it goes stale."""

    kind: Literal["cutout"]
    source: str = Field(description="picture.NAME, the output of a model that gives transparency")
    stale_after_s: float | None = Field(None, gt=0, description="default: 3 intervals of the source, at least 0.25")
    fade_s: float = Field(0.4, ge=0, le=10)
    mirror: bool = False
    box: tuple[Unit, Unit, Unit, Unit] = Field((0, 0, 1, 1), description="left, top, right, bottom, 0-1 of the canvas")

    @property
    def sources(self) -> tuple[str, ...]:
        """What it may show."""
        return (self.source,)


class FillConfig(LayerConfig):
    """A colour, a gradient, or a slow procedural picture."""

    PARAMETERS = {"opacity": (0.0, 1.0), "speed": (0.0, 4.0), "energy": (0.0, 1.0), "warmth": (0.0, 1.0)}

    kind: Literal["fill"]
    style: Literal["solid", "gradient", "aurora", "ink", "vignette"] = "solid"
    colours: list[Rgb] = Field([(8, 10, 18)], min_length=1, max_length=6)
    speed: float = Field(1.0, ge=0, le=4)
    energy: float = Field(0.5, ge=0, le=1)
    warmth: float = Field(0.5, ge=0, le=1)


class TextConfig(LayerConfig):
    """Words. Sizes and places are fractions of the canvas, so that a scene fits any screen."""

    PARAMETERS = {"opacity": (0.0, 1.0), "text": None}

    kind: Literal["text"]
    text: str = Field("", max_length=400)
    size: float = Field(0.05, gt=0, le=0.5, description="height of a line, of the canvas height")
    weight: int = Field(400, ge=100, le=900)
    colour: Rgb = (255, 255, 255)
    shade: Unit = Field(0.0, description="darkness of a soft plate behind the words")
    at: tuple[Unit, Unit] = (0.5, 0.9)
    anchor: Literal["left", "centre", "right"] = "centre"
    max_width: Unit = 0.9
    fade_s: float = Field(0.3, ge=0, le=10, description="cross-fade when the words change")
    font: str | None = Field(None, description="path of a TrueType file; default: the built-in face")


class ParticlesConfig(LayerConfig):
    """Thousands of small things that fall, drift or fly."""

    PARAMETERS = {
        "opacity": (0.0, 1.0),
        "rate": (0.0, 4000.0),
        "wind": (-1.0, 1.0),
        "speed": (0.1, 4.0),
        "x": (0.0, 1.0),
        "y": (0.0, 1.0),
        "spread": (0.0, 1.0),
    }

    kind: Literal["particles"]
    preset: Literal["rain", "snow", "sparks"]
    rate: float = Field(0.0, ge=0, le=4000, description="born a second")
    wind: float = Field(0.0, ge=-1, le=1)
    speed: float = Field(1.0, ge=0.1, le=4)
    x: Unit = Field(0.5, description="sparks only: where they come from, of the canvas width")
    y: Unit = Field(1.0, description="sparks only: how far down they come from, of the canvas height")
    spread: Unit = Field(1.0, description="sparks only: how wide their source is, of the canvas width")
    colour: Rgb | None = None
    limit: int = Field(6000, ge=1, le=20000, description="alive at most")


AnyLayerConfig = Annotated[
    PictureConfig | CutoutConfig | FillConfig | TextConfig | ParticlesConfig, Field(discriminator="kind")
]
LAYER_KINDS: tuple[str, ...] = tuple(
    get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(AnyLayerConfig)[0])
)


class SceneConfig(Strict):
    """A named stack of layers, drawn in order."""

    name: Name
    layers: list[AnyLayerConfig] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _name_layers(cls, raw: object) -> object:
        """Give every unnamed layer its kind as name, numbered from the second on: rain, particles, particles-2."""
        if not isinstance(raw, dict) or not isinstance(raw.get("layers"), list):
            return raw
        taken: set[str] = {
            str(layer.get("name")) for layer in raw["layers"] if isinstance(layer, dict) and layer.get("name")
        }
        layers: list[object] = []
        for layer in raw["layers"]:
            if not isinstance(layer, dict) or layer.get("name"):
                layers.append(layer)
                continue
            kind = str(layer.get("kind", "layer"))
            name = next(n for n in (kind if i == 1 else f"{kind}-{i}" for i in range(1, 1000)) if n not in taken)
            taken.add(name)
            layers.append({**layer, "name": name})
        return {**raw, "layers": layers}

    @model_validator(mode="after")
    def _unique_layers(self) -> "SceneConfig":
        names = [layer.name for layer in self.layers]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two layers named {min(twice)!r}; give each its own name")
        return self
