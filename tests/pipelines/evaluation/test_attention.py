"""Where the attention lies."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.attention import GRID, Attention, Where, locate

EVERYWHERE = np.ones((90, 120), np.bool_)


def hot(*spots: tuple[int, int]) -> NDArray[np.float32]:
    """A map of 90 x 120 with hot squares of 10 pixels' side at (row, column)."""
    heat = np.zeros((90, 120), np.float32)
    for row, column in spots:
        heat[row : row + 10, column : column + 10] = 1
    return heat


def located(heat: NDArray[np.float32], body: NDArray[np.bool_] = EVERYWHERE) -> Attention:
    found = locate(heat, body)
    assert found
    return found


@pytest.mark.parametrize(("row", "column"), [(r, c) for r in range(3) for c in range(3)])
def test_each_ninth_of_the_picture_has_its_name(row: int, column: int) -> None:
    where: Where = GRID[row][column]
    found = located(hot((10 + 30 * row, 10 + 40 * column)))
    assert [(place.where, place.share) for place in found.places] == [(where, 1)]
    assert f"100% of the model's attention lies in the {where} of the picture" in found.text


def test_several_places_are_named_the_strongest_first() -> None:
    heat = hot((10, 10), (70, 100))
    heat[70:80, 100:110] = 3
    found = located(heat)
    assert [place.where for place in found.places] == ["lower right", "upper left"]
    assert found.places[0].share == pytest.approx(0.75)
    assert "lies in the lower right and the upper left" in found.text


def test_an_even_spread_names_no_place() -> None:
    found = located(np.ones((90, 120), np.float32))
    assert found.places == ()
    assert found.half_within == pytest.approx(0.5, abs=0.01)
    assert "spread over the picture" in found.text


def test_one_warmer_place_in_a_wide_spread_is_not_made_much_of() -> None:
    heat = np.ones((90, 120), np.float32)
    heat[30:60, 40:80] = 2.2
    assert "is spread over the picture, 22% of it in the centre." in located(heat).text


def test_a_small_spot_is_said_to_be_concentrated() -> None:
    found = located(hot((40, 60)))
    assert found.half_within == pytest.approx(50 / (90 * 120), rel=0.05)
    assert "concentrated on a small area" in found.text


def test_most_heat_outside_the_body_is_told_with_caution() -> None:
    body = np.zeros_like(EVERYWHERE)
    body[:, :60] = True
    outside = located(hot((40, 10), (40, 80), (60, 80)), body)
    assert outside.inside_body == pytest.approx(1 / 3)
    assert outside.is_caution_needed
    assert "33% of it is on the body" in outside.text
    assert "Do not rely on it" in outside.text
    inside = located(hot((40, 10)), body)
    assert not inside.is_caution_needed
    assert "Caution" not in inside.text


def test_sides_are_never_a_patient_s() -> None:
    assert "patient" not in located(hot((40, 10))).text


def test_no_heat_is_no_attention() -> None:
    assert locate(hot(), EVERYWHERE) is None
