"""A mask goes where its picture goes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.imaging import fit, fit_mask
from pipelines.spec import ImageSpec

WAYS = [
    ImageSpec.model_validate({"size": 64, "resize": resize, "crop": crop})
    for resize in ("stretch", "pad")
    for crop in ("none", "body")
]


def body_with_lesion() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A grey body off the middle of a dark picture, 90 x 150, with a white lesion; and its mask."""
    picture, mask = np.zeros((2, 90, 150, 3), np.uint8)
    picture[20:80, 10:100] = 90
    picture[30:50, 60:90] = 255
    mask[30:50, 60:90] = 255
    return picture, mask


@pytest.mark.parametrize("image", WAYS, ids=lambda way: f"{way.resize}-{way.crop}")
def test_a_mask_is_where_its_lesion_is(image: ImageSpec) -> None:
    picture, mask = body_with_lesion()

    fitted, marked = fit(picture, image)[..., 0], fit_mask(mask, picture, image)

    assert marked.shape == (64, 64)
    assert marked.dtype == np.bool_
    assert marked.any()
    assert (fitted[marked] > 170).mean() > 0.9
    assert (fitted[~marked] > 170).sum() <= 0.05 * marked.sum()


@pytest.mark.parametrize("image", WAYS, ids=lambda way: f"{way.resize}-{way.crop}")
def test_a_mask_of_another_size_goes_to_the_same_place(image: ImageSpec) -> None:
    picture, mask = body_with_lesion()
    larger = mask.repeat(3, axis=0).repeat(3, axis=1)

    assert (fit_mask(larger, picture, image) == fit_mask(mask, picture, image)).all()


def test_a_mask_may_be_as_dark_as_its_maker_liked() -> None:
    picture, mask = body_with_lesion()

    dark = fit_mask(mask // 10, picture, WAYS[0])

    assert (dark == fit_mask(mask, picture, WAYS[0])).all()


def test_a_mask_of_nothing_marks_nothing() -> None:
    picture, mask = body_with_lesion()

    assert not fit_mask(np.zeros_like(mask), picture, WAYS[0]).any()
