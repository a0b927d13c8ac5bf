"""What the card's own program prints, by a program that prints the same."""

from pathlib import Path

from edge_runtime.clock import now_s
from edge_runtime.control.gpu import BELIEVED_S, GpuProbe, GpuVitals
from tests.fixtures.waiting import eventually


def program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_temperature_and_free_memory_are_the_last_that_were_told_and_not_believed_for_ever(tmp_path: Path) -> None:
    with GpuProbe(program(tmp_path, 'echo "41, 7012"\necho "67, 5120"\nprintf "99, "\nexec sleep 60')) as probe:
        eventually(lambda: probe.read(now_s()) == GpuVitals(67.0, 5120.0), 5.0, "the card is heard")
        assert probe.read(now_s() + BELIEVED_S) == GpuVitals()


def test_memory_that_a_card_does_not_tell_is_not_guessed(tmp_path: Path) -> None:
    with GpuProbe(program(tmp_path, 'echo "52, [N/A]"\nexec sleep 60')) as probe:
        eventually(lambda: probe.read(now_s()) == GpuVitals(52.0, None), 5.0, "a shared memory")


def test_a_card_that_is_lost_tells_nothing(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    script = f'echo "41, 7012"\nuntil [ -e {lost} ]; do sleep 0.01; done\necho "GPU is lost"\nexec sleep 60'
    with GpuProbe(program(tmp_path, script)) as probe:
        eventually(lambda: probe.read(now_s()) == GpuVitals(41.0, 7012.0), 5.0, "the card is heard")
        lost.touch()
        eventually(lambda: probe.read(now_s()) == GpuVitals(), 5.0, "the card is lost")


def test_a_box_without_a_card_has_none() -> None:
    with GpuProbe("no-such-program") as probe:
        assert probe.read(now_s()) == GpuVitals()
