"""The kernel's witness, and what is said where there is none."""

import struct
from pathlib import Path

import pytest

from edge_runtime.display import vblank
from edge_runtime.display.vblank import VblankCounter, compare, open_vblank_counter
from edge_runtime.errors import DisplayError


def test_the_request_is_the_one_of_the_kernels_headers() -> None:
    assert struct.calcsize("P") == 8, "the structures below are those of 64-bit machines"
    assert (vblank._ASK.size, vblank._ANSWER.size) == (16, 24)
    assert vblank.WAIT_VBLANK == 0xC018643A


def test_a_machine_without_cards_has_no_counter(tmp_path: Path) -> None:
    assert open_vblank_counter(tmp_path) is None


def test_a_device_that_counts_no_refreshes_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "card0").symlink_to("/dev/null")
    assert open_vblank_counter(tmp_path) is None
    with pytest.raises(DisplayError, match="card0: counts no vblanks"):
        VblankCounter(tmp_path / "card0")
    with pytest.raises(DisplayError, match="card1: No such file"):
        VblankCounter(tmp_path / "card1")


def test_without_a_witness_nothing_is_verified() -> None:
    report = compare(None, presented=3600, missed=0)
    assert report["verified"] is False
    assert "no card" in report["reason"]


@pytest.mark.parametrize(
    ("vblanks", "presented", "missed"), [(3600, 3599, 0), (3600, 3590, 9), (7200, 3600, 0), (36000, 35970, 0)]
)
def test_counts_that_match_are_verified(vblanks: int, presented: int, missed: int) -> None:
    assert compare(vblanks, presented=presented, missed=missed) == {
        "verified": True,
        "vblanks": vblanks,
        "presents": presented,
    }


@pytest.mark.parametrize(("vblanks", "presented"), [(3600, 3550), (3000, 3600), (5400, 3600), (0, 3600), (3600, 0)])
def test_counts_that_differ_are_not_and_say_so(vblanks: int, presented: int) -> None:
    report = compare(vblanks, presented=presented, missed=0)
    assert report["verified"] is False
    assert report["reason"]
