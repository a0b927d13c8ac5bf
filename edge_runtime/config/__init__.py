"""Device config: one TOML file makes a box a particular installation. Read once, never changed."""

from edge_runtime.config.device import DeviceConfig, DisplayConfig, LabelConfig, MqttConfig, RungConfig
from edge_runtime.config.inputs import CameraConfig, ReplayConfig, SignalConfig, SunConfig
from edge_runtime.config.load import Finding, bundle_folders, check, load
from edge_runtime.config.models import ModelConfig
from edge_runtime.config.scenes import (
    BindingConfig,
    FillConfig,
    LayerConfig,
    OneEuroConfig,
    ParticlesConfig,
    PictureConfig,
    SceneConfig,
    TextConfig,
)

__all__ = [
    "BindingConfig",
    "CameraConfig",
    "DeviceConfig",
    "DisplayConfig",
    "FillConfig",
    "Finding",
    "LabelConfig",
    "LayerConfig",
    "ModelConfig",
    "MqttConfig",
    "OneEuroConfig",
    "ParticlesConfig",
    "PictureConfig",
    "ReplayConfig",
    "RungConfig",
    "SceneConfig",
    "SignalConfig",
    "SunConfig",
    "TextConfig",
    "bundle_folders",
    "check",
    "load",
]
