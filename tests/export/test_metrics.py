"""Figures whose value can be worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")

from export.metrics import Array, flicker, iou, psnr, ssim


def noise(seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((48, 64, 3), dtype=np.float32)


def test_psnr_of_a_tenth_everywhere_is_twenty_decibels() -> None:
    grey = np.full((8, 8, 3), 0.5, np.float32)
    assert psnr(grey + np.float32(0.1), grey) == pytest.approx(20.0, abs=1e-4)
    assert psnr(grey, grey) == float("inf")


def test_bytes_and_floats_are_the_same_picture() -> None:
    picture = (noise() * 255).astype(np.uint8)
    assert psnr(picture, picture.astype(np.float32) / 255) > 100
    assert ssim(picture, picture.astype(np.float32) / 255) == pytest.approx(1.0, abs=1e-5)


def test_ssim_of_two_flat_pictures_is_their_luminance_term() -> None:
    a, b = np.full((32, 32, 3), 0.3, np.float32), np.full((32, 32, 3), 0.6, np.float32)
    by_hand = (2 * 0.3 * 0.6 + 1e-4) / (0.3**2 + 0.6**2 + 1e-4)
    assert ssim(a, b) == pytest.approx(by_hand, abs=1e-3)


def test_ssim_is_one_for_the_same_low_for_noise_and_negative_for_the_negative() -> None:
    assert ssim(noise(), noise()) == pytest.approx(1.0, abs=1e-5)
    assert abs(ssim(noise(0), noise(1))) < 0.15
    assert ssim(1 - noise(), noise()) < -0.5


def test_iou_counts_pixels() -> None:
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[:2], b[1:3] = 1, 1
    assert iou(a, b) == pytest.approx(1 / 3)
    assert iou(a, a) == 1.0
    assert iou(np.zeros((4, 4)), np.zeros((4, 4))) == 1.0
    assert iou(a, np.zeros((4, 4))) == 0.0


def test_a_still_scene_flickers_by_what_changes_in_the_output() -> None:
    scene = [noise()] * 3
    grey = np.full((48, 64, 3), 0.5, np.float32)
    assert flicker([grey] * 3, scene) == pytest.approx(0.0, abs=1e-4)
    assert flicker([grey, grey + np.float32(0.1), grey], scene) == pytest.approx(0.1, abs=1e-3)


def test_an_output_that_moves_with_the_scene_does_not_flicker_and_one_that_stays_does() -> None:
    import cv2

    wide = cv2.GaussianBlur(np.random.default_rng(3).random((96, 160, 3), dtype=np.float32), (0, 0), 4)
    wide = (wide - wide.min()) / (wide.max() - wide.min())
    scene = [wide[:, 2 * i : 2 * i + 128] for i in range(4)]
    still = [scene[0]] * 4
    assert flicker(scene, scene) < 0.25 * flicker(still, scene)
