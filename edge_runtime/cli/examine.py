"""The questions of `doctor` that need a look at hardware, the kernel or the network. Each gives one answer."""

import ctypes
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_runtime.clock import now_s, wall_s
from edge_runtime.config import CameraConfig, DeviceConfig, MqttConfig
from edge_runtime.control.broker import address
from edge_runtime.control.certificates import Tls, certificate_fault, explain, fetch_certificate
from edge_runtime.control.vitals import memory_free_mb
from edge_runtime.display.vblank import open_vblank_counter
from edge_runtime.errors import EdgeError, InputError, SessionError
from edge_runtime.inference.cuda import cuda
from edge_runtime.inference.tensorrt import device_fault, library_name
from edge_runtime.inputs.capture import quiet_libraries
from edge_runtime.inputs.opening import open_source, show_source
from edge_runtime.inputs.source import Frame, Source

LITTLE_MEMORY_MB = 500.0
_CONNECT_S = 3.0
_PICTURE_S = 4.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one thing, and what would mend it."""

    level: Level
    name: str
    text: str
    remedy: str = ""


def gpu() -> Answer:
    """Which GPU inference could run on. Asks the driver itself: packages only say what they were built for."""
    model = Path("/proc/device-tree/model")
    board = model.read_text(errors="ignore").strip("\0\n") if model.is_file() else ""
    where = f" in {board}" if board else ""
    try:
        device = cuda().device
    except SessionError as error:
        if not Path("/proc/driver/nvidia").exists() and not {"nvidia", "jetson"} & set(board.lower().split()):
            return Answer("ok", "gpu", f"{error}: models run on the CPU")
        return Answer("warning", "gpu", f"{error}{where}", "nvidia-smi tells why; until then models run on the CPU")
    name = f"{device.name}{where}, compute capability {device.compute_capability}, {device.driver}"
    try:
        library = library_name()
    except SessionError as error:
        remedy = "pip install 'edge-runtime[rtx]' on a desktop, TensorRT from JetPack on a Jetson; `make gpu` for CUDA"
        return Answer("warning", "gpu", f"{name}; {error}", remedy)
    if fault := device_fault(library, device.name, device.compute_capability):
        return Answer("warning", "gpu", f"{name}; {fault}", "until then models run on ONNX Runtime with CUDA")
    return Answer("ok", "gpu", f"{name}; engines by {library}")


def outputs() -> str:
    """Connected outputs as the kernel sees them: a connector without modes is no display."""
    found = []
    for connector in sorted(Path("/sys/class/drm").glob("card*-*")):
        if (connector / "status").is_file() and (connector / "status").read_text().strip() == "connected":
            modes = (connector / "modes").read_text().split()
            found.append(f"{connector.name.partition('-')[2]} {modes[0] if modes else 'without any mode'}")
    return ", ".join(found)


def vblank() -> Answer:
    """Whether our count of frames can be held against the kernel's."""
    counter = open_vblank_counter()
    if counter is None:
        return Answer("ok", "vblank", "the kernel's count cannot be read: presented frames stay unverified")
    with counter:
        return Answer("ok", "vblank", "the kernel's count can be read: presented frames are verified")


def cameras(config: DeviceConfig | None) -> Iterable[Answer]:
    """The cameras that are plugged in, and for each one of the config whether it gives a picture."""
    by_id = sorted(Path("/dev/v4l/by-id").glob("*"))
    devices = by_id or sorted(Path("/dev").glob("video*"))
    if config is None or not config.cameras:
        yield Answer("ok", "camera", f"plugged in: {', '.join(map(str, devices)) or 'none'}")
        return
    for camera in config.cameras:
        yield _camera(camera, devices)


def _camera(camera: CameraConfig, devices: list[Path]) -> Answer:
    name = f"{camera.name}: {show_source(camera)}"
    source = None
    quiet_libraries()
    try:
        source = open_source(camera)
        frame = _first_frame(source)
    except EdgeError as error:
        remedy = f'plugged in: {", ".join(map(str, devices)) or "none"}; or source = "synthetic"'
        return Answer("warning", "camera", f"{name}: {error}; the fallback would show", remedy)
    finally:
        if source is not None:
            source.close()
    height, width = frame.bgr_hwc.shape[:2]
    return Answer("ok", "camera", f"{name} gives {width}x{height}")


def _first_frame(source: Source) -> Frame:
    deadline_s = now_s() + _PICTURE_S
    while now_s() < deadline_s:
        frame = source.read()
        if frame is not None:
            return frame
    raise InputError(f"no picture within {_PICTURE_S:g} s")


def broker(config: DeviceConfig | None) -> Answer:
    """Whether the broker answers, and with a certificate that holds; the login is tried by the run itself."""
    if config is None or config.mqtt is None:
        return Answer("ok", "broker", "none in the config")
    mqtt = config.mqtt
    try:
        soon = certificate_fault(mqtt, wall_s()) or _greet(mqtt)
    except (OSError, EdgeError) as error:
        remedy = "is it running, is the firewall open? The show runs without it, with fallbacks"
        return Answer("warning", "broker", f"{mqtt.url}: {explain(mqtt, error, wall_s())}", remedy)
    return Answer("warning" if soon else "ok", "broker", soon or f"{mqtt.url} answers")


def _greet(mqtt: MqttConfig) -> str | None:
    """Connect, with TLS as far as it can be told before a login; what is to be said of the broker's certificate."""
    host, port = address(mqtt)
    with socket.create_connection((host, port), timeout=_CONNECT_S) as plain:
        if not mqtt.url.startswith("mqtts:"):
            return None
        certificate = fetch_certificate(mqtt, host, port, _CONNECT_S)
        if fault := certificate.fault(wall_s()):
            return fault
        with Tls(mqtt).context.wrap_socket(plain, server_hostname=host):
            return certificate.warning(wall_s())


def clock() -> Answer:
    """Whether the kernel holds the wall clock for synchronised. Source: adjtimex(2)."""
    timex = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None).adjtimex(timex) == _TIME_ERROR:
        remedy = "enable systemd-timesyncd or chrony; until then: mqtt.trust_clock = false"
        return Answer(
            "warning", "clock", "not synchronised: expiry of commands and schedules cannot be trusted", remedy
        )
    return Answer("ok", "clock", "synchronised")


def memory_available_mb() -> float:
    """Memory that can be had without swapping, in MB."""
    return memory_free_mb() or 0.0
