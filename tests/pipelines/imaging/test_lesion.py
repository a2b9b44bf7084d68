"""Pictures are cropped to the lesion that a network finds in them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.imaging import Box, crop_box, fit, fit_mask
from pipelines.imaging.box import whole
from pipelines.imaging.lesion import LesionFinder, around, digest
from pipelines.spec import ImageSpec
from tests.pipelines.imaging.finders import with_lesion, write_finder


def spot(*places: tuple[slice, slice], side: int = 100) -> NDArray[np.bool_]:
    mask = np.zeros((side, side), np.bool_)
    for place in places:
        mask[place] = True
    return mask


def spec(**fields: Any) -> ImageSpec:
    return ImageSpec.model_validate({"size": 64, "crop": "lesion"} | fields)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (slice(40, 60), slice(40, 60), Box(30, 70, 30, 70)),
        (slice(40, 60), slice(30, 70), Box(20, 80, 20, 80)),  # as high as it is wide
        (slice(0, 10), slice(80, 100), Box(0, 30, 70, 100)),  # no room beyond the edge
        (slice(0, 10), slice(10, 90), Box(0, 100, 0, 100)),
    ],
)
def test_the_box_is_wider_than_the_lesion_and_square(
    rows: slice, columns: slice, expected: Box
) -> None:
    assert around(spot((rows, columns)), 100, 100, margin=0.1) == expected


def test_the_box_is_in_the_pictures_own_pixels_and_square_there() -> None:
    lesion = spot((slice(40, 60), slice(45, 55)))

    assert around(lesion, 200, 400, margin=0.1) == Box(40, 160, 140, 260)


@pytest.mark.parametrize("found", [spot(), spot((slice(3, 6), slice(3, 6)))[:, :100]])
def test_next_to_nothing_counts_as_nothing(found: NDArray[np.bool_]) -> None:
    assert around(found, 100, 100, margin=0.1) is None


def test_specks_beside_the_lesion_do_not_widen_the_box() -> None:
    lesion = (slice(40, 60), slice(40, 60))
    alone = around(spot(lesion), 100, 100, margin=0)

    assert around(spot(lesion, (slice(0, 3), slice(0, 3))), 100, 100, margin=0) == alone
    assert around(spot(lesion, (slice(0, 9), slice(0, 9))), 100, 100, margin=0) != alone


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("shape", [(90, 120), (150, 100), (64, 64)])
def test_a_picture_and_its_mask_are_cropped_to_the_lesion(
    tmp_path: Path, shape: tuple[int, int], resize: str
) -> None:
    image = spec(resize=resize)
    find = LesionFinder(write_finder(tmp_path, image))
    picture = with_lesion(*shape, top=10, left=30, side=24)

    box = crop_box(picture, image, find)
    fitted = fit(picture, image, box)
    lesion = fit_mask(np.where(picture == 250, 255, 0).astype(np.uint8), picture, image, box)

    assert box.height == box.width  # the lesion is not distorted
    assert box.top <= 10
    assert box.left <= 30
    assert box.bottom >= 34
    assert box.right >= 54
    assert 0.3 < lesion.mean() < 0.8
    assert (lesion == (fitted.min(axis=2) > 185)).mean() > 0.94


def test_a_picture_without_a_lesion_is_kept_whole(tmp_path: Path) -> None:
    image = spec()
    find = LesionFinder(write_finder(tmp_path, image))
    picture = with_lesion(side=0)

    assert find(picture) is None
    assert crop_box(picture, image, find) == whole(picture)
    plain = image.without_lesion_crop
    np.testing.assert_array_equal(fit(picture, image, whole(picture)), fit(picture, plain))


def test_many_threads_find_what_one_finds(tmp_path: Path) -> None:
    find = LesionFinder(write_finder(tmp_path, spec()))
    pictures = [with_lesion(top=2 * n, left=3 * n) for n in range(20)]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(find, pictures)) == [find(picture) for picture in pictures]


def test_a_crop_to_the_lesion_needs_who_finds_it() -> None:
    with pytest.raises(AssertionError, match="a network that finds it"):
        fit(with_lesion(), spec())


def test_another_network_has_another_digest(tmp_path: Path) -> None:
    one = digest(write_finder(tmp_path / "one", spec()))

    assert digest(tmp_path / "one") == one
    assert digest(write_finder(tmp_path / "other", spec(), shade=150)) != one
    (tmp_path / "one" / "finder.json").write_text("{}")
    assert digest(tmp_path / "one") != one


def test_a_scaled_box_stays_inside_the_scaled_picture() -> None:
    assert Box(10, 30, 20, 60).scaled(0.5, 0.25) == Box(5, 15, 5, 15)
    assert Box(199, 200, 0, 1).scaled(0.1, 0.1) == Box(19, 20, 0, 1)
