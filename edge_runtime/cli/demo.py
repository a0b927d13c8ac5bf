"""`edge-runtime demo`: a small venue at your desk, through a real broker where one is installed."""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_runtime.cli.run import run_device, with_options
from edge_runtime.clock import now_s, pause_s
from edge_runtime.config import MqttConfig, ReplayConfig, load
from edge_runtime.config.load import SHIPPED
from edge_runtime.errors import EdgeError
from edge_runtime.memory import die_with_parent

CONFIG = SHIPPED / "demo.toml"
BROKER_START_S = 5.0
BROKER = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
user root
"""
"""`user` counts only when root runs it: one that gives up its rights would outlive us when we are killed."""


def run(arguments: argparse.Namespace) -> int:
    """Start a broker, a venue that talks to it, and the show that listens."""
    config = with_options(load(arguments.config or CONFIG), arguments)
    if arguments.replay:
        config = config.model_copy(update={"replay": ReplayConfig(file=str(arguments.replay))})
    if config.replay is None:
        raise EdgeError(f"{arguments.config}: has no [replay]; name a recording with --replay")
    with ExitStack() as venue:
        mosquitto = _find_mosquitto()
        if mosquitto is None:
            print("no mosquitto here: the recording feeds the signals itself (for more: apt-get install mosquitto)")
        else:
            url = venue.enter_context(_broker(mosquitto))
            venue.enter_context(
                _child([sys.executable, "-m", "edge_runtime", "replay", config.replay.file, "--url", url])
            )
            config = config.model_copy(update={"mqtt": MqttConfig(url=url), "replay": None})
            print(f"the venue talks on {url}; try, in another terminal:")
            print(f"  {_us()} send {config.device_id} prompt text='good evening' --url {url}")
            print(f"  {_us()} send {config.device_id} scene scene=drift fade_s=2 --url {url}")
        return run_device(config, arguments)


def _us() -> str:
    """The command that a person in this folder can type: the name alone works only where it is on the path."""
    command = Path(sys.executable).with_name("edge-runtime")
    if shutil.which("edge-runtime") or not command.is_file():
        return "edge-runtime"
    return os.path.relpath(command) if command.is_relative_to(Path.cwd()) else str(command)


def _find_mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")  # sbin is on no user's path in Debian


@contextmanager
def _broker(program: str) -> Iterator[str]:
    """A broker of our own on a free loopback port; its URL."""
    with tempfile.TemporaryDirectory(prefix="edge-runtime-demo-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
        free.close()
        settings = Path(folder) / "mosquitto.conf"
        settings.write_text(BROKER.format(port=port), encoding="utf-8")
        with _child([program, "-c", str(settings)], quiet=True):
            deadline_s = now_s() + BROKER_START_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                    break
                except OSError as error:
                    if now_s() > deadline_s:
                        raise EdgeError(f"{program} does not listen on port {port}: {error}") from error
                    pause_s(0.02)
            yield f"mqtt://127.0.0.1:{port}"


@contextmanager
def _child(command: list[str], *, quiet: bool = False) -> Iterator[None]:
    """A child process that ends with us, however we end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if quiet else None,  # a broker that root runs warns of it, and is ours alone
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one thread here
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
