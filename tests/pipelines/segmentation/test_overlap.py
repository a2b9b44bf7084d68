"""Overlap of lesions, and the box that a crop would keep."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.segmentation.overlap import box_holds, box_of, dice, iou


def square(top: int, left: int, side: int, *, size: int = 20) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    ("found", "true", "expected_dice", "expected_iou"),
    [
        (square(2, 2, 4), square(2, 2, 4), 1, 1),
        (square(2, 2, 4), square(2, 4, 4), 0.5, 1 / 3),
        (square(0, 0, 4), square(10, 10, 4), 0, 0),
        (square(0, 0, 0), square(10, 10, 4), 0, 0),
        (square(0, 0, 0), square(0, 0, 0), 1, 1),
    ],
)
def test_dice_and_iou_are_as_defined(
    found: NDArray[np.bool_], true: NDArray[np.bool_], expected_dice: float, expected_iou: float
) -> None:
    assert dice(found[None], true[None]) == pytest.approx([expected_dice])
    assert iou(found[None], true[None]) == pytest.approx([expected_iou])


def test_a_box_stands_around_what_was_found_with_its_margin_inside_the_picture() -> None:
    assert box_of(square(5, 8, 4), margin=0.1) == (3, 11, 6, 14)
    assert box_of(square(0, 17, 3), margin=0.2) == (0, 7, 13, 20)


def test_where_nothing_was_found_the_whole_picture_is_kept() -> None:
    assert box_of(square(0, 0, 0), margin=0.1) == (0, 20, 0, 20)
    assert box_holds(square(0, 0, 0)[None], square(4, 4, 6)[None], margin=0.1) == pytest.approx(1)


def test_a_box_beside_the_lesion_keeps_what_it_reaches() -> None:
    kept = box_holds(square(4, 4, 4)[None], square(4, 6, 4)[None], margin=0)

    assert kept == pytest.approx([0.5])
