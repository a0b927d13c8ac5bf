"""The roles by themselves: lint, their interfaces, what they say on machines that will not do."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from edge_runtime.release.policy import GateLimits
from tests.display.xclient import XClient
from tests.fixtures.waiting import eventually
from tests.fleet.playbooks import ANSIBLE, PROGRAMS, Run, VenueOfRoots
from tests.fleet.rootfs import Root, bare, lent

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(900), pytest.mark.usefixtures("box_mounts")]

ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
EXAMPLE = ANSIBLE / "inventory/example.yml"
KINDS = {"laptop", "desktop_rtx", "jetson_orin_nano", "jetson_agx_orin", "jetson_thor"}
GPU_PLAY = "- {hosts: boxes, roles: [gpu]}\n"
SMI = "#!/bin/sh\necho '{driver}, {capability}, NVIDIA GeForce RTX 4070'\n"
NVPMODEL = "#!/bin/sh\n[ $1 = -m ] && echo $2 >/mode || printf 'NV Power Mode: x\\n%s\\n' $(cat /mode)\n"
L4T = "# R{major} (release), REVISION: {minor}, GCID: 1, BOARD: generic, EABI: aarch64\n"


def ansible(program: str, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(
        [f"{PROGRAMS}/{program}", *arguments], cwd=ANSIBLE, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def specs(role: str) -> dict[str, Any]:
    tree = yaml.safe_load((ANSIBLE / f"roles/{role}/meta/argument_specs.yml").read_text())
    found: dict[str, Any] = tree["argument_specs"]
    return found


def test_ansible_lint_finds_nothing_by_its_strictest_profile() -> None:
    assert (
        "Profile 'production' was required, and it passed" in ansible("ansible-lint", "--offline", "--nocolor").stderr
    )


def test_there_are_the_six_roles_that_a_venue_needs() -> None:
    assert ROLES == ["base", "broker", "display", "edge_runtime", "gpu", "observability"]


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_has_its_name_its_default_its_type_and_a_sentence(role: str) -> None:
    defaults = yaml.safe_load((ANSIBLE / f"roles/{role}/defaults/main.yml").read_text())
    options = {name: option for entry in specs(role).values() for name, option in entry["options"].items()}
    needless = {name for name, option in options.items() if option.get("required")} | {"broker_authority_passphrase"}
    assert set(options) - needless == set(defaults) - needless
    assert all(name.startswith(f"{role}_") for name in options)
    assert all(option["type"] and option["description"].endswith(".") for option in options.values())


def test_every_limit_that_releases_are_judged_by_can_be_set_in_the_inventory() -> None:
    gate = specs("edge_runtime")["main"]["options"]["edge_runtime_gate"]["options"]
    assert list(gate) == [limit.name for limit in fields(GateLimits)]


def test_a_variable_of_the_wrong_type_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("- {hosts: localhost, gather_facts: false, connection: local, roles: [base]}\n")
    options = ["-e", "base_watchdog_s=soon", "-e", "base_box=true", "--check", str(tmp_path / "play.yml")]
    done = ansible("ansible-playbook", *options, check=False)
    assert done.returncode != 0
    assert "'base_watchdog_s' is of type" in (done.stdout + done.stderr).replace("argument ", "")
    assert "changed=0" in done.stdout


# -- the example -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(ansible("ansible-inventory", "-i", str(EXAMPLE), "--list").stdout)
    return tree


def members(tree: dict[str, Any], group: str) -> set[str]:
    own = tree.get(group, {})
    return {*own.get("hosts", []), *(name for child in own.get("children", []) for name in members(tree, child))}


def test_every_box_of_the_example_is_in_one_venue_and_of_one_kind_and_some_are_canaries(
    example: dict[str, Any],
) -> None:
    boxes = members(example, "boxes")
    assert members(example, "canaries") < boxes
    for groups in (example["venues"]["children"], KINDS):
        assert sorted(name for group in groups for name in members(example, group)) == sorted(boxes)


def test_the_example_holds_no_secret_and_demands_the_key_that_it_cannot_know(tmp_path: Path) -> None:
    options = ["--limit", "bench", "-e", "ansible_connection=local", "-e", "ansible_become=false", "--check"]
    play = tmp_path / "play.yml"
    play.write_text("- {hosts: boxes, gather_facts: false, roles: [edge_runtime]}\n")
    done = ansible("ansible-playbook", "-i", str(EXAMPLE), str(play), *options, check=False)
    assert "what `edge-runtime release build --key` printed" in done.stdout + done.stderr
    assert "changed=0" in done.stdout


def test_a_splash_that_is_no_png_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    options = ["-e", "ansible_connection=local ansible_become=false display_splash=logo.jpg", "--check"]
    play = tmp_path / "play.yml"
    play.write_text("- {hosts: all, gather_facts: false, roles: [display]}\n")
    done = ansible("ansible-playbook", "-i", "localhost,", str(play), *options, check=False)
    assert "display_splash = logo.jpg: expected a PNG" in done.stdout + done.stderr
    assert "changed=0" in done.stdout


def test_the_config_of_every_box_of_the_example_is_right(example: dict[str, Any], tmp_path: Path) -> None:
    template = (
        f"src=inventory/device_configs/mirror.toml.j2 dest={tmp_path}/{{{{ inventory_hostname }}}}.toml mode=0644"
    )
    options = [
        "-e",
        f"ansible_connection=local ansible_python_interpreter={sys.executable}",
        "-m",
        "ansible.builtin.template",
        "-a",
        template,
    ]
    ansible("ansible", "boxes", "-i", str(EXAMPLE), *options)
    written = sorted(tmp_path.glob("*.toml"))
    assert {path.stem for path in written} == members(example, "boxes")
    for path in written:
        path.write_text(path.read_text().replace("/etc/edge-runtime/tls", str(tmp_path)))
    done = ansible("edge-runtime", "check", *map(str, written), check=False)
    told = [line for line in done.stderr.splitlines() if "no such file" not in line]  # the certificates
    assert not [line for line in told if line.startswith("error")]
    assert tomllib.loads((tmp_path / "foyer-left.toml").read_text())["mqtt"]["groups"] == ["foyer"]


# -- gpu -------------------------------------------------------------------------------------------------------------


def program(root: Path, name: str, text: str) -> None:
    path = root / "usr/bin" / name
    path.write_text(text)
    path.chmod(0o755)


def jetson(root: Root, major: int, minor: str) -> None:
    """As far as it can be told without one: its release file, its tool for power modes, its package."""
    (root.path / "etc/nv_tegra_release").write_text(L4T.format(major=major, minor=minor))
    (root.path / "mode").write_text("0")
    program(root.path, "nvpmodel", NVPMODEL)
    package = root.path / "srv/tensorrt/DEBIAN"
    package.mkdir(parents=True)
    (package / "control").write_text(
        "Package: python3-libnvinfer\nVersion: 10.16.2\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n"
    )
    root.run("dpkg-deb", "--build", "/srv/tensorrt", "/srv/tensorrt.deb")
    root.run("dpkg", "--install", "/srv/tensorrt.deb")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Path], Run]]:
    """The role gpu on machines of many kinds, in one run."""
    folder = tmp_path_factory.mktemp("machines")
    names = ["plain", "told-jetson", "old-driver", "old-card", "desktop", "old-jetson", "jetson"]
    with ExitStack() as stack:
        roots = {name: stack.enter_context(lent(bare(), folder / name)) for name in names}
        for root in roots.values():
            stack.enter_context(root.online())
        program(roots["old-driver"].path, "nvidia-smi", SMI.format(driver="570.86.15", capability="8.9"))
        program(roots["old-card"].path, "nvidia-smi", SMI.format(driver="580.95.05", capability="7.0"))
        program(roots["desktop"].path, "nvidia-smi", SMI.format(driver="580.95.05", capability="8.9"))
        jetson(roots["old-jetson"], 38, "4.0")
        jetson(roots["jetson"], 39, "2.0")
        paths = {name: root.path for name, root in roots.items()}
        hosts: dict[str, dict[str, object]] = {
            "told-jetson": {"gpu_kind": "jetson"},
            "desktop": {"gpu_power_limit_w": 140},
            "jetson": {"gpu_power_mode": 1},
        }
        venue = VenueOfRoots(folder / "venue", paths, host_variables=hosts)
        (folder / "gpu.yml").write_text(GPU_PLAY)
        yield paths, venue.play(str(folder / "gpu.yml"), check=False)


def test_a_machine_without_a_gpu_is_left_alone_and_told_so(machines: tuple[dict[str, Path], Run]) -> None:
    _, run = machines
    assert run.changed["plain"] == run.failed["plain"] == 0
    assert "gpu: none here: models run on the CPU" in run.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "told-jetson",
            "gpu: gpu_kind is jetson, but neither /etc/nv_tegra_release nor an answer of nvidia-smi is there",
        ),
        ("old-driver", "gpu: NVIDIA's driver is 570.86.15, and CUDA 13 needs 580 or newer"),
        ("old-card", "gpu: NVIDIA GeForce RTX 4070 has compute capability 7.0, and TensorRT-RTX needs 7.5 or higher"),
        ("old-jetson", "gpu: Jetson Linux 38.4; the runtime needs JetPack 7.2 (Jetson Linux 39.2) or newer"),
    ],
)
def test_a_machine_that_will_not_do_gets_one_clear_line(
    machines: tuple[dict[str, Path], Run], name: str, words: str
) -> None:
    _, run = machines
    assert run.failed[name] == 1
    assert words in run.text
    assert run.changed[name] == 0


def test_a_desktop_keeps_its_card_awake_and_within_its_limit(machines: tuple[dict[str, Path], Run]) -> None:
    paths, run = machines
    unit = (paths["desktop"] / "etc/systemd/system/edge-gpu.service").read_text()
    assert run.failed["desktop"] == 0
    assert "nvidia-smi --persistence-mode=1" in unit
    assert "nvidia-smi --power-limit=140" in unit
    assert (paths["desktop"] / "etc/systemd/system/multi-user.target.wants/edge-gpu.service").is_symlink()


def test_a_jetson_gets_its_power_mode_and_steady_clocks(machines: tuple[dict[str, Path], Run]) -> None:
    paths, run = machines
    assert run.failed["jetson"] == 0
    assert (paths["jetson"] / "mode").read_text() == "1\n"
    assert "jetson_clocks" in (paths["jetson"] / "etc/systemd/system/edge-gpu.service").read_text()


# -- display ---------------------------------------------------------------------------------------------------------

GRUB = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
EXTLINUX = "TIMEOUT 30\nLABEL primary\n      LINUX /boot/Image\n      APPEND ${cbootargs} root=/dev/mmcblk0p1 rw\n"
OUTPUTS: list[dict[str, object]] = [
    {"name": "HDMI-1", "mode": "1920x1080", "rate_hz": 59.94, "position": "0x0", "rotation": "left"},
    {"name": "DP-2", "enabled": False},
]


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Root], list[Run]]]:
    """The role display with each server that needs a real screen, twice."""
    folder = tmp_path_factory.mktemp("screens")
    with ExitStack() as stack:
        roots = {name: stack.enter_context(lent(bare(), folder / name)) for name in ("xorg", "cage")}
        for root in roots.values():
            stack.enter_context(root.online())
            root.run("groupadd", "--system", "edge")
            root.run("useradd", "--system", "--gid", "edge", "edge")
        (roots["xorg"].path / "etc/default/grub").write_text(GRUB)
        (roots["cage"].path / "boot/extlinux").mkdir()
        (roots["cage"].path / "boot/extlinux/extlinux.conf").write_text(EXTLINUX)
        hosts = {name: {"display_server": name, "display_outputs": OUTPUTS} for name in roots}
        venue = VenueOfRoots(folder / "venue", {name: root.path for name, root in roots.items()}, host_variables=hosts)
        (folder / "display.yml").write_text("- {hosts: boxes, roles: [display]}\n")
        yield roots, [venue.play(str(folder / "display.yml")) for _ in range(2)]


def test_a_screen_is_set_up_once(screens: tuple[dict[str, Root], list[Run]]) -> None:
    _, (first, second) = screens
    assert min(first.changed.values()) > 10
    assert second.changes == []


@pytest.mark.parametrize("name", ["xorg", "cage"])
def test_systemd_has_nothing_to_say_about_the_units_of_a_screen(
    screens: tuple[dict[str, Root], list[Run]], name: str
) -> None:
    root = screens[0][name]
    units = ("edge-display.service", "edge-display-outputs.service")
    assert root.run("systemd-analyze", "verify", "--man=no", *units).stderr == ""
    assert "CPUSchedulingPriority=11\n" in (root.path / "etc/systemd/system/edge-display.service").read_text()
    assert (root.path / "etc/systemd/system/getty@tty1.service").readlink() == Path("/dev/null")


def test_outputs_are_set_as_the_inventory_says_at_start_and_so_many_times_after_a_plug_was_pulled(
    screens: tuple[dict[str, Root], list[Run]],
) -> None:
    xorg, cage = (screens[0][name].path for name in ("xorg", "cage"))
    script = "usr/local/lib/edge-runtime/set-outputs"
    assert (
        "xrandr --output HDMI-1 --mode 1920x1080 --rate 59.94 --pos 0x0 --rotate left\n" in (xorg / script).read_text()
    )
    assert "xrandr --output DP-2 --off\n" in (xorg / script).read_text()
    wanted = "wlr-randr --output HDMI-1 --on --mode 1920x1080@59.94Hz --pos 0,0 --transform 90\n"
    assert wanted in (cage / script).read_text()
    assert "start edge-display-outputs.service" in (xorg / "etc/udev/rules.d/90-edge-display.rules").read_text()
    unit = (xorg / "etc/systemd/system/edge-display-outputs.service").read_text()
    assert "StartLimitIntervalSec=infinity\nStartLimitBurst=30\n" in unit


@pytest.mark.display
@pytest.mark.parametrize("xvfb", [(540, 960)], indirect=True)
def test_a_splash_breathes_on_black_until_the_screen_takes_over(
    screens: tuple[dict[str, Root], list[Run]], xvfb: str
) -> None:
    root = screens[0]["xorg"]
    unit = (root.path / "etc/systemd/system/edge-display.service").read_text()
    assert "ExecStartPre=-+/usr/bin/plymouth quit --retain-splash\n" in unit
    root.run("apt-get", "install", "-q", "-y", "--no-install-recommends", "plymouth-x11")
    drawing = ("env", f"DISPLAY={xvfb}")
    try:
        with XClient(xvfb) as x:

            def seen(least: int, most: int = 255) -> list[npt.NDArray[np.uint8]]:
                """The screen, where its brightest pixel lies between these."""
                root.run(*drawing, "xrefresh")  # in a window it draws when asked to alone; on a screen, by itself
                pixels = x.screen()
                return [pixels] if least <= pixels.max() <= most else []

            root.run(*drawing, "plymouthd", "--mode=boot", "--kernel-command-line=quiet splash")
            root.run("plymouth", "show-splash")
            (bright,) = eventually(lambda: seen(220), 10.0, "light")
            eventually(lambda: seen(0, 40), 10.0, "next to none")
            eventually(lambda: seen(220), 10.0, "and light again")
    finally:
        root.run("plymouth", "quit", check=False)
    rows, columns = np.nonzero(bright.max(axis=2) > 8)
    assert (abs(rows.min() + rows.max() - 960) <= 2, abs(columns.min() + columns.max() - 540) <= 2) == (True, True)
    assert 100 < np.ptp(rows) < 180, "a third of the shorter side, glow and all"
    assert bright[:, :120].max() == 0, "the rest is black"


def test_nothing_is_to_be_read_while_a_box_boots(screens: tuple[dict[str, Root], list[Run]]) -> None:
    grub = screens[0]["xorg"]
    shell = (
        ". /etc/default/grub; for file in /etc/default/grub.d/*.cfg; do . $file; done; echo $GRUB_CMDLINE_LINUX_DEFAULT"
    )
    assert "quiet splash loglevel=3 systemd.show_status=false" in grub.run("sh", "-c", shell).stdout
    jetson = (screens[0]["cage"].path / "boot/extlinux/extlinux.conf").read_text()
    (line,) = [line for line in jetson.splitlines() if "APPEND" in line]
    assert line.startswith("      APPEND ${cbootargs} root=/dev/mmcblk0p1 rw quiet splash loglevel=3 ")
    assert jetson.count("loglevel") == 1
