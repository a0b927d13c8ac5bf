"""The hub: everything that goes in and out of the box in words. MQTT, local commands, signals, screenshots.

Every command, from wherever it comes, is judged here and given to the part that carries it out; every sender gets
exactly one answer. One thread and one loop; only the broker's network thread and the one that encodes pictures run
beside it, and both talk to it by filing something and ringing the bell.
"""

import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.channel import Message
from edge_runtime.clock import now_s, wall_s
from edge_runtime.commands import (
    COMMANDS,
    BlackoutCommand,
    BrightnessCommand,
    Command,
    CommandRefused,
    IdentifyCommand,
    Judge,
    Order,
    PromptCommand,
    RestartPartCommand,
    SceneCommand,
    ScreenshotCommand,
    SetCommand,
    Vocabulary,
)
from edge_runtime.control.announcements import Announcements, availability
from edge_runtime.control.holds import Hold, Holds
from edge_runtime.control.mqtt import MqttLink, Received
from edge_runtime.control.pictures import KEPT_SCREENSHOTS, PictureWriter, copy_picture
from edge_runtime.control.requests import Requests, Result
from edge_runtime.control.signals import SignalRoutes
from edge_runtime.control.state import StateFile
from edge_runtime.control.topics import Topics, filter_fault
from edge_runtime.control.vitals import memory_free_mb, temperature_c
from edge_runtime.errors import BundleError, ConfigError, InputError, Refused
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inputs.replay import Player, load_replay
from edge_runtime.inputs.sun import clock_signals
from edge_runtime.logs import Level, event
from edge_runtime.part import Part

LOOP_S = 0.05
TAKEN_AT_ONCE = 32
SCHEDULED_SCENES = 32
WRITE_WITHIN_S = 10.0
"""A worn SD card takes seconds to say that a file is safe."""
LAST_WORDS_S = 0.3
"""Between the ack of a restart of the hub itself and its end."""
Tell = Callable[[Mapping[str, object]], None]
"""Gives a command's ack to its sender."""
