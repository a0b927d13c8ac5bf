"""The gallery: every scene that ships, run as a visitor sees it, photographed off the screen.

A virtual X server stands for the screen; the product runs in it with the recorded venue. What is kept is what was in
the server's frame buffer: one frame, and a few seconds of it.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from export.errors import ExportError
from export.pictures import Rgb

SCREEN_PX = (1280, 720)
_CLIP_PX = (480, 270)
_CLIP_RATE_HZ, _CLIP_S = 10, 3.0
_QUALITY = 72
_STARTING_S = 40.0
_QUIET = """
include = ["{configs}/venues/small.toml", "{configs}/venues/prompt.toml", "{configs}/scenes/{scene}.toml"]
device_id = "gallery"
rate_hz = 60
start_scene = "{scene}"

[display]
canvas_px = [1280, 720]
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """One scene of device_configs/showcase.toml, as it is shown in the gallery."""

    scene: str
    title: str
    words: str
    prompt: str = ""
    after_s: float = 12.0
    """How long the scene has run when it is photographed."""


SHOTS = (
    Shot("window", "Weather window", "`backdrop`, told by `prompt`: *thunderstorm over the harbour at midnight*.",
         "thunderstorm over the harbour at midnight"),
    Shot("window", "The same window", "*a sunny morning over the wheat*.", "a sunny morning over the wheat"),
    Shot("mirror", "Mirror", "`stylize`, then `enlarge`: whoever stands before it is painted as the audience votes."),
    Shot("quick", "Quick mirror", "`stylize-lite`, then `enlarge`: six styles for a small CPU."),
    Shot("portal", "Portal", "`matte` over `backdrop`: people step into another weather."),
    Shot("crowd", "Crowd", "`people`: movement and raised hands drive the particles."),
    Shot("between", "In between", "`interpolate`: a painter of twelve pictures a second, seen at sixty."),
    Shot("veil", "Veil", "`face`: nobody can be told apart."),
    Shot("drift", "Drift", "No model at all: the picture that is there whatever fails."),
)  # fmt: skip


def make_gallery(root: Path, scenes: list[str]) -> Iterator[str]:
    """Photograph scenes into docs/gallery/ and write docs/gallery.md; tells what was made, one line each.

    Raises:
        ExportError: there is no Xvfb, or the product did not run.
    """
    if shutil.which("Xvfb") is None:
        raise ExportError("the gallery needs a virtual screen; on Debian or Ubuntu type: sudo apt-get install -y xvfb")
    known = [shot.scene for shot in SHOTS]
    if unknown := [scene for scene in scenes if scene not in known]:
        raise ExportError(f"no scene {unknown[0]!r} in the gallery; known: {', '.join(dict.fromkeys(known))}")
    folder = root / "docs" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for number, shot in enumerate(SHOTS):
        if scenes and shot.scene not in scenes:
            continue
        name = f"{number + 1}-{shot.scene}"
        with _screen() as (display, screen_file):
            frames = _photograph(root, shot, display, screen_file)
        middle = frames[len(frames) // 2]
        cv2.imwrite(str(folder / f"{name}.jpg"), middle, [cv2.IMWRITE_JPEG_QUALITY, 88])
        _write_clip(folder / f"{name}.webp", frames)
        yield f"{name}: {(folder / f'{name}.webp').stat().st_size / 1e6:.2f} MB"
    (root / "docs" / "gallery.md").write_text(_page(), encoding="utf-8")


@contextmanager
def _screen() -> Iterator[tuple[str, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        size = f"{SCREEN_PX[0]}x{SCREEN_PX[1]}x24"
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", size, "-fbdir", folder, "-nolisten", "tcp"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            number = server.stdout.readline().strip() if server.stdout else ""
            if not number:
                raise ExportError("Xvfb did not start; type it by hand to see why: Xvfb -displayfd 1")
            yield f":{number}", Path(folder) / "Xvfb_screen0"
        finally:
            server.terminate()
            server.wait()


def _photograph(root: Path, shot: Shot, display: str, screen_file: Path) -> list[Rgb]:
    """Run the scene and take frames (h, w, 3) BGR off the screen."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DISPLAY": display, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": folder}
        runtime = [sys.executable, "-m", "edge_runtime"]
        config = root / "device_configs" / "showcase.toml"
        if shot.prompt:  # the recorded venue has prompts of its own
            config = Path(folder) / "gallery.toml"
            config.write_text(_QUIET.format(configs=root / "device_configs", scene=shot.scene), encoding="utf-8")
        command = [*runtime, "demo" if not shot.prompt else "run", str(config), "--scene", shot.scene]
        show = subprocess.Popen(command, env=environment, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _wait(show, screen_file)
            if shot.prompt:
                said = subprocess.run(
                    [*runtime, "send", "local", "prompt", f"text={shot.prompt}"],
                    env=environment, cwd=root, check=False, capture_output=True, text=True,
                )  # fmt: skip
                if said.returncode:
                    raise ExportError(f"the prompt was not taken: {said.stderr.strip() or said.stdout.strip()}")
            _pause(shot.after_s)
            frames = []
            for _ in range(round(_CLIP_RATE_HZ * _CLIP_S)):
                frames.append(read_screen(screen_file))
                _pause(1 / _CLIP_RATE_HZ)
            return frames
        finally:
            show.terminate()
            show.communicate()


def _wait(show: "subprocess.Popen[bytes]", screen_file: Path) -> None:
    """Until there is a picture on the screen."""
    until_s = time.monotonic() + _STARTING_S
    while time.monotonic() < until_s:
        if show.poll() is not None:
            said = (show.stderr.read() if show.stderr else b"").decode(errors="replace").strip().splitlines()
            raise ExportError(f"the product did not run: {said[-1] if said else show.returncode}")
        whole = screen_file.exists() and screen_file.stat().st_size > 4 * SCREEN_PX[0] * SCREEN_PX[1]
        if whole and read_screen(screen_file).max():
            return
        _pause(0.2)
    raise ExportError(f"no picture came within {_STARTING_S:g} s")


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def read_screen(path: Path) -> Rgb:
    """The frame buffer of Xvfb, (h, w, 3) BGR. Source: X11/XWDFile.h."""
    content = path.read_bytes()
    header = struct.unpack(">25I", content[:100])
    start, width, height = header[0] + 12 * header[19], header[4], header[5]
    pixels = np.frombuffer(content, np.uint8, width * height * 4, start)
    return np.ascontiguousarray(pixels.reshape(height, width, 4)[:, :, :3])


def _write_clip(path: Path, frames: list[Rgb]) -> None:
    """An animated WebP that plays for ever, there and back, so that it has no seam."""
    small = [cv2.resize(frame, _CLIP_PX, interpolation=cv2.INTER_AREA) for frame in frames]
    animation = cv2.Animation()
    animation.frames = [*small, *small[-2:0:-1]]
    animation.durations = [round(1000 / _CLIP_RATE_HZ)] * len(animation.frames)
    cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])


def _page() -> str:
    lines = [
        "# Gallery", "",
        "Every scene that ships, photographed off a virtual screen of 1280x720 while it ran with the recorded venue",
        "(the window: with a prompt, and no venue) and the synthetic camera. Made by `python -m export gallery`; see",
        "it live with `make run SCENE=window`.", "",
    ]  # fmt: skip
    for number, shot in enumerate(SHOTS):
        name = f"gallery/{number + 1}-{shot.scene}"
        lines += [f"## {shot.title}", "", shot.words, "", f"![{shot.title}, moving]({name}.webp)", ""]
        lines += [f"[One frame, 1280x720]({name}.jpg) · `make run SCENE={shot.scene}`", ""]
    return "\n".join(lines)
