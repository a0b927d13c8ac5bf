"""The command line: `edge-runtime COMMAND`. Arguments are declared here; each command lives in `edge_runtime.cli`."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_runtime import __version__
from edge_runtime.errors import EdgeError

_EPILOG = """\
examples:
  edge-runtime run device_configs/laptop.toml             show the picture until Ctrl-C
  edge-runtime check device_configs/*.toml                is every file right?
  edge-runtime send foyer-left scene scene=mirror         switch a box over MQTT
  edge-runtime why mirror/rain.rate --device foyer-left   why does it rain?
"""

_SEND_EPILOG = """\
commands, with what may be left out in brackets:
  scene scene= [fade_s=] [at=]              change the scene; at is a Unix time
  set parameter= value= [for_s=]            hold a parameter; value=null lets go of it
  prompt text=                              words for the scene that listens to prompt.text
  blackout on=                              true or false
  brightness percent=                       0 to 100
  screenshot                                keep the picture as a file on the box
  identify [seconds=]                       show which box this is
  restart-part part=                        e.g. camera:main
Values are JSON, else text: a text that looks like a number goes in two pairs of quotes, value='"40"'.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-runtime",
        description="Real-time AI pictures for unattended screens.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-runtime {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_show_commands(commands)
    _add_control_commands(commands)
    _add_diagnosis_commands(commands)
    _add_release_command(commands)
    return parser


def _add_show_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run an installation", description="Run an installation until Ctrl-C.")
    run.add_argument("config", type=Path, help="device config, e.g. device_configs/laptop.toml")
    _add_run_options(run)
    demo = commands.add_parser(
        "demo",
        help="a small venue at your desk: weather, votes and a crowd from a recording",
        description="Run an installation with a recorded venue, through a real mosquitto where one is installed.",
    )
    demo.add_argument("config", type=Path, nargs="?", help="default: device_configs/demo.toml")
    demo.add_argument("--replay", type=Path, help="recording to play; default: the config's, else the evening shipped")
    _add_run_options(demo)
    replay = commands.add_parser("replay", help="play a recording of a venue into a broker")
    replay.add_argument("recording", type=Path, help="JSON lines, e.g. device_configs/replays/evening.jsonl")
    replay.add_argument("--url", default="mqtt://127.0.0.1:1883", metavar="mqtt://HOST:PORT")
    replay.add_argument("--speed", type=float, default=1.0, help="times faster than life (1)")
    replay.add_argument("--once", action="store_true", help="stop at the end instead of beginning again")
    _add_init_command(commands)
    part = commands.add_parser("part", help="(for the supervisor) run one part")
    part.add_argument("name")
    part.add_argument("--channel", type=int, required=True, metavar="FD")


def _add_init_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    init = commands.add_parser(
        "init",
        help="write a device config for this box, by a few questions",
        description="Write a commented device config after the nearest that we ship. What no flag says is asked.",
    )
    init.add_argument("file", type=Path, nargs="?", default=Path("device.toml"), help="to write (device.toml)")
    init.add_argument("--yes", action="store_true", help="ask nothing: take the default for what no flag says")
    init.add_argument("--force", action="store_true", help="replace the file where there is one")
    init.add_argument("--device-id", metavar="ID", help="its name in topics and logs; default: the host's")
    init.add_argument(
        "--box", help="laptop, desktop-rtx, jetson-orin-nano, jetson-agx-orin, jetson-thor; default: what it is"
    )
    init.add_argument("--screen", help="landscape, portrait, wide, projection, two; default: landscape")
    init.add_argument("--rotation", metavar="DEGREES", help="0, 90, 180, 270: clockwise, into the screen's memory")
    init.add_argument("--size", metavar="WxH", help="of the screen as people see it, e.g. 3840x1080")
    init.add_argument(
        "--camera", metavar="SOURCE", help="/dev/v4l/by-id/..., rtsp://..., synthetic; default: one plugged in"
    )
    init.add_argument("--broker", metavar="URL", help="mqtt://HOST or mqtts://HOST; none: a recorded venue stands in")
    init.add_argument("--screenshots", help="allowed, blurred, forbidden")
    init.add_argument(
        "--label", metavar="TEXT", help="words of the AI label; none: no label, where the law allows that"
    )
    init.add_argument("--scene", metavar="NAME", help="the one it begins with")
    init.add_argument(
        "--models", type=Path, action="append", default=[], metavar="DIR", help="look for bundles here first"
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds of picture")
    parser.add_argument(
        "--stats", type=Path, metavar="FILE", help="write the statistics as JSON at the end; - for stdout"
    )
    parser.add_argument("--trace", type=Path, metavar="CSV", help="write one row a frame, PresentMon-style columns")
    parser.add_argument(
        "--models", type=Path, action="append", default=[], metavar="DIR", help="look for bundles here first"
    )
    parser.add_argument("--scene", metavar="NAME", help="begin with this scene, whatever was shown last")
    parser.add_argument("--headless", action="store_true", help="open no window, whatever the config says")
    parser.add_argument(
        "--rehearsal", action="store_true", help="headless, without broker and cameras: beside a show that runs"
    )
    parser.add_argument("--windowed", action="store_true", help="a window instead of the full screen")
    parser.add_argument("--json", action="store_true", help="log JSON lines also on a terminal")


def _add_control_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ps = commands.add_parser("ps", help="parts of a device that runs on this box: state, pid, restarts")
    why = commands.add_parser("why", help="why has a parameter the value it has?")
    why.add_argument("parameter", help="scene/layer.parameter or models.NAME.parameter")
    for parser in (ps, why):
        parser.add_argument("--device", metavar="ID", help="which device, where several run on this box")
        parser.add_argument("--json", action="store_true", help="print JSON")
    send = commands.add_parser(
        "send",
        help="send a command and print the answer",
        description="Send a command over MQTT to TARGET: a device id, group/NAME, all, or local for this box.",
        epilog=_SEND_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    send.add_argument("target")
    send.add_argument("name", metavar="command", help="one of those below")
    send.add_argument(
        "arguments", nargs="*", metavar="key=value", help="e.g. scene=mirror fade_s=2; values are JSON, else text"
    )
    send.add_argument(
        "--url", metavar="mqtt://HOST:PORT", help="broker; default: EDGE_RUNTIME_MQTT_URL, else mqtt://127.0.0.1:1883"
    )
    send.add_argument(
        "--ca-file",
        metavar="PEM",
        help="authority of an mqtts:// broker; default: EDGE_RUNTIME_MQTT_CA_FILE, the system's",
    )
    send.add_argument("--cert-file", metavar="PEM", help="our certificate; default: EDGE_RUNTIME_MQTT_CERT_FILE")
    send.add_argument("--key-file", metavar="PEM", help="its private key; default: EDGE_RUNTIME_MQTT_KEY_FILE")
    send.add_argument("--wait-s", type=float, default=5.0, metavar="S", help="how long to wait for answers (5)")
    send.add_argument("--device", metavar="ID", help="for TARGET local, where several run on this box")


def _add_diagnosis_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = commands.add_parser("check", help="check config files, and the bundles they name; reads files only")
    check.add_argument("configs", type=Path, nargs="+", metavar="config")
    check.add_argument("--models", type=Path, action="append", default=[], metavar="DIR")
    metrics = commands.add_parser(
        "metrics",
        help="serve a box's figures to Prometheus",
        description="Serve the figures of a device on this box, of its releases and certificates, to Prometheus.",
    )
    metrics.add_argument("--listen", default="127.0.0.1:9469", metavar="HOST:PORT", help="default: 127.0.0.1:9469")
    metrics.add_argument("--device", metavar="ID", help="which device, where several run on this box")
    metrics.add_argument("--once", action="store_true", help="print them instead")
    metrics.add_argument(
        "--root", type=Path, default=Path("/opt/edge-runtime"), metavar="DIR", help="where releases are"
    )
    metrics.add_argument(
        "--certificates",
        type=Path,
        default=Path("/etc/edge-runtime/tls"),
        metavar="DIR",
        help="of the link to the broker",
    )
    doctor = commands.add_parser(
        "doctor", help="is this machine fit? screen, GPU, camera, broker, real-time permission"
    )
    doctor.add_argument("config", type=Path, nargs="?", help="check for this installation too")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    _add_models_command(commands)
    schema = commands.add_parser("schema", help="print the JSON Schema of device configs, or the contract over MQTT")
    schema.add_argument("what", nargs="?", choices=("config", "mqtt"), default="config")
    bench = commands.add_parser(
        "bench",
        help="measure the budgets on this machine, beside a naive loop",
        description="Measure what DESIGN calls budgets: pacing, recovery, latency, throughput, start, memory.",
    )
    rows = "pacing screen faults camera command throughput start soak; default: all but soak"
    bench.add_argument("rows", nargs="*", metavar="ROW", help=rows)
    bench.add_argument("--config", type=Path, help="default: device_configs/bench.toml")
    minutes = "length of pacing and screen (1 for each side), camera (0.5), soak (60)"
    bench.add_argument("--minutes", type=float, help=minutes)
    rounds = "faults of each kind, starts, blocks of throughput, tens of commands (3)"
    bench.add_argument("--rounds", type=int, default=3, help=rounds)
    bench.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON too")


def _add_models_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    models = commands.add_parser(
        "models",
        help="bundles: list, verify, build engines, bench",
        description="list: what is there. verify: hashes, and every variant run beside the first. build: TensorRT "
        "engines for a device config, or for one bundle. bench: milliseconds of a run.",
    )
    models.add_argument("action", choices=("list", "verify", "build", "bench"))
    models.add_argument("names", nargs="*", metavar="NAME", help="bundles, none: all; for build a config or a bundle")
    models.add_argument("--models", type=Path, action="append", default=[], metavar="DIR")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.add_argument("--size", type=_size, metavar="WxH", help="build BUNDLE, bench: size of the picture (480x272)")
    models.add_argument("--precision", help="build BUNDLE: which file; default: the best for an engine")
    models.add_argument("--shapes", metavar="JSON", help="build BUNDLE: of every input, instead of --size")
    models.add_argument("--engines", type=Path, metavar="DIR", help="build: default for a config: its state folder")
    models.add_argument("--threads", type=int, default=1, help="bench (1)")
    models.add_argument("--runs", type=int, default=20, help="bench (20)")


def _add_release_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    release = commands.add_parser(
        "release",
        help="signed releases: build, verify, install, roll back",
        description="Releases of the runtime and of models: built and signed on a desk, put on a box by one command "
        "that goes back by itself when the show does worse than before.",
    )
    actions = release.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="make a release of this program, or of bundles")
    build.add_argument("track", choices=("runtime", "models"))
    build.add_argument("--version", help="runtime: default this program's; models: e.g. 2026.11.28")
    build.add_argument("--source", type=Path, metavar="DIR", help="models: the bundles; default: those we ship")
    build.add_argument("--key", type=Path, metavar="PEM", help="sign with it: openssl genpkey -algorithm ed25519")
    build.add_argument("--out", type=Path, metavar="FILE", help="default: edge-runtime-TRACK-VERSION.tar")
    verify = actions.add_parser("verify", help="is a release file whole, and signed by a trusted key?")
    verify.add_argument("file", type=Path)
    verify.add_argument("--unsigned", action="store_true", help="look at the hashes alone")
    install = actions.add_parser("install", help="put a release on this box, and go back if the show does worse")
    install.add_argument("file", type=Path)
    install.add_argument("--again", action="store_true", help="also one that was rejected here before")
    rollback = actions.add_parser("rollback", help="go back to the release before")
    listing = actions.add_parser("list", help="releases on this box: what runs, what is kept, what was rejected")
    health = actions.add_parser("health", help="watch the show of this box: exit code 3 where it is not well")
    health.add_argument("--restart", action="store_true", help="start it anew first")
    trial = actions.add_parser("trial", help="(for the trial unit) switch, watch, keep or go back")
    settle = actions.add_parser("settle", help="undo a trial that was cut short; every boot does")
    for parser in (rollback, trial):
        parser.add_argument("track", choices=("runtime", "models"))
    for parser in (build, verify, install, rollback, listing, health, trial, settle):
        parser.add_argument("--json", action="store_true", help="print JSON")
    for parser in (verify, install, rollback, listing, health, trial, settle):
        parser.add_argument("--root", type=Path, default=Path("/opt/edge-runtime"), metavar="DIR", help="of releases")
        etc = "/etc/edge-runtime"
        parser.add_argument("--policy", type=Path, default=Path(etc, "release.toml"), metavar="FILE")
        parser.add_argument("--config", type=Path, default=Path(etc, "device.toml"), metavar="FILE")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. What the user can mend is one line on stderr and exit code 2."""
    _keep_standard_descriptors()
    arguments = _parser().parse_args(argv)
    if arguments.command == "part":
        from edge_runtime import part

        return part.main(arguments.name, arguments.channel)
    command = importlib.import_module(f"edge_runtime.cli.{arguments.command}")
    try:
        return int(command.run(arguments))
    except EdgeError as error:
        print(f"edge-runtime: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _keep_standard_descriptors() -> None:
    """Point those that were closed at nothing: else the next file opened would get their number and our words."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    sys.exit(main())
