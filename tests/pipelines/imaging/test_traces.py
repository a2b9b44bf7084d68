"""Traces tell how a picture was made, whatever it shows."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.imaging import decode, traces
from pipelines.imaging.traces import TRACES
from tests.pipelines.imaging.pictures import colours, deep, file_of, greys
from tests.pipelines.imaging.scans import scan_of


def told(data: bytes) -> dict[str, float]:
    return dict(zip(TRACES, traces(data, decode(data)), strict=True))


def noisy(seed: int = 0) -> Image.Image:
    shades = np.random.default_rng(seed).normal(120, 30, (96, 96)).clip(0, 255)
    return Image.fromarray(shades.astype(np.uint8))


def test_the_same_file_leaves_the_same_traces() -> None:
    data = file_of(colours(), "JPEG")
    assert traces(data, decode(data)) == traces(data, decode(data))
    assert len(traces(data, decode(data))) == len(TRACES)


def test_grey_and_colour_files_are_told_apart() -> None:
    assert told(file_of(greys(), "PNG"))["colour"] == 0
    grey_as_colour = told(file_of(np.repeat(greys()[..., None], 3, axis=2), "PNG"))
    assert (grey_as_colour["colour"], grey_as_colour["tint"]) == (1, 0)
    assert told(file_of(colours(), "PNG"))["tint"] > 5


def test_harder_compression_leaves_larger_steps_fewer_bits_and_blocks() -> None:
    fine, coarse = (told(file_of(noisy(), "JPEG", quality=quality)) for quality in (95, 10))
    assert coarse["quantisation"] > fine["quantisation"] + 2
    assert coarse["bits_per_pixel"] < fine["bits_per_pixel"] - 1
    assert coarse["blocking"] > fine["blocking"]
    assert told(file_of(noisy(), "PNG"))["quantisation"] == 0


def test_borders_are_measured_on_each_side() -> None:
    picture = np.zeros((100, 100), np.uint8)
    picture[10:80, 30:95] = 150
    found = told(file_of(picture, "PNG"))
    sides = [found[f"border_{side}"] for side in ("top", "bottom", "left", "right")]
    assert sides == pytest.approx([0.10, 0.20, 0.30, 0.05], abs=0.011)


def test_a_smoothed_picture_is_less_sharp_and_less_noisy() -> None:
    sharp = told(file_of(noisy(), "PNG"))
    smooth = told(file_of(noisy().filter(ImageFilter.GaussianBlur(1.5)), "PNG"))
    assert smooth["noise"] < sharp["noise"] - 1
    assert smooth["finest"] < sharp["finest"] - 2


def test_twice_the_size_is_one_more() -> None:
    small, large = (told(file_of(greys(64 * n, 96 * n), "PNG")) for n in (1, 2))
    assert large["width"] - small["width"] == pytest.approx(1)
    assert large["height"] - small["height"] == pytest.approx(1)
    assert large["aspect"] == small["aspect"]


def test_a_black_picture_and_a_dicom_file_have_traces_too() -> None:
    black = told(file_of(np.zeros((48, 48), np.uint8), "PNG"))
    assert (black["black"], black["border_top"]) == (1, 1)
    assert np.isfinite(list(black.values())).all()
    assert np.isfinite(list(told(scan_of(deep())).values())).all()


def test_every_trace_of_the_smallest_and_flattest_pictures_is_a_number() -> None:
    shades = np.random.default_rng(3).integers(0, 256, (40, 40), np.uint8)
    sides = (*range(1, 12), 40)
    for height, width in itertools.product(sides, sides):
        for picture in (shades[:height, :width], np.zeros((height, width), np.uint8)):
            data = file_of(picture, "PNG")
            found = traces(data, np.repeat(picture[..., None], 3, axis=2))
            assert np.isfinite(found).all(), (height, width, found)
