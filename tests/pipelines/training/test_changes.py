"""Each change of an image does what it says, and no more."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.training import changes

Image = NDArray[np.uint8]
SIDE = 40
EVEN = (1.0,) * changes.QUARTERS


def one_pose(
    *, degrees: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0), mirror: int = 1
) -> NDArray[np.floating]:
    (pose,) = changes.poses(
        degrees=np.array([degrees]),
        scale=np.array([scale]),
        shift=np.array([shift]),
        mirror=np.array([mirror]),
    )
    return np.asarray(pose)


def one_curve(
    *,
    exponent: float = 1,
    stretch: tuple[float, ...] = EVEN,
    contrast: float = 1,
    brightness: float = 0,
) -> NDArray[np.uint8]:
    (curve,) = changes.tone_curves(
        exponent=np.array([exponent]),
        stretch=np.array([stretch]),
        contrast=np.array([contrast]),
        brightness=np.array([brightness]),
    )
    return np.asarray(curve)


def flat(level: int) -> Image:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


@pytest.fixture
def spot() -> Image:
    """A bright square in the upper left on black, of three colours."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[8:12, 8:12] = (200, 150, 100)
    return image


def middle(image: Image) -> tuple[float, float]:
    """Mean row and column of what is bright."""
    rows, columns = np.nonzero(image[..., 0] > 50)
    return float(rows.mean()), float(columns.mean())


def test_a_still_pose_leaves_every_pixel(spot: Image) -> None:
    assert np.array_equal(changes.posed(spot, one_pose()), spot)


@pytest.mark.parametrize(
    ("pose", "row", "column"),
    [
        ({"mirror": -1}, 9.5, 29.5),
        ({"degrees": 180}, 29.5, 29.5),
        ({"shift": (0.1, 0)}, 9.5, 5.5),
        ({"shift": (0, -0.1)}, 13.5, 9.5),
        ({"scale": 1.5}, 4.5, 4.5),
    ],
    ids=["mirrored", "turned", "moved left", "moved down", "larger"],
)
def test_a_pose_moves_what_is_shown(
    spot: Image, pose: dict[str, Any], row: float, column: float
) -> None:
    found = changes.posed(spot, one_pose(**pose))
    assert middle(found) == pytest.approx((row, column), abs=0.3)
    assert found[-3:, :3].max() == 0


def test_a_larger_scale_shows_things_larger(spot: Image) -> None:
    areas = [(changes.posed(spot, one_pose(scale=s)) > 50).sum() for s in (0.8, 1, 1.5)]
    assert areas[0] < areas[1] < areas[2]


def test_turned_by_a_quarter_it_keeps_its_size_and_colours(spot: Image) -> None:
    found = changes.posed(spot, one_pose(degrees=90))
    assert sorted(middle(found)) == pytest.approx([9.5, 29.5], abs=0.3)
    assert found.reshape(-1, 3).max(axis=0).tolist() == [200, 150, 100]


@pytest.mark.parametrize(("share", "contrast"), [(0.9, 1.2), (-0.9, 0.8)])
def test_a_share_sharpens_and_its_opposite_softens(share: float, contrast: float) -> None:
    lines = flat(100)
    lines[:, ::4] = 150
    lines[:, 1::4] = 150
    found = changes.sharpened(np.roll(lines, 1, axis=1), share)[4:-4, 4:-4]
    assert (np.ptp(found) > 50) == (contrast > 1)
    assert found.mean() == pytest.approx(125, abs=3)


def test_an_even_curve_changes_no_level() -> None:
    assert np.array_equal(one_curve(), np.arange(256))


@pytest.mark.parametrize(
    ("change", "level", "expected"),
    [
        ({"exponent": 2.0}, 128, 64),
        ({"stretch": (2.0, 1, 1, 1)}, 64, 102),
        ({"contrast": 1.5}, 100, 150),
        ({"contrast": 1.5}, 200, 255),
        ({"brightness": -20}, 100, 80),
        ({"brightness": -20}, 10, 0),
        ({"contrast": 0.5, "brightness": 10}, 100, 60),
    ],
)
def test_the_curve_bends_as_it_is_told(change: dict[str, Any], level: int, expected: int) -> None:
    found = changes.toned(flat(level), one_curve(**change))
    assert found[0, 0].tolist() == pytest.approx([expected] * 3, abs=1)


def test_grain_is_added_alike_to_all_channels_and_stays_within_range() -> None:
    field = np.zeros((2 * SIDE, 2 * SIDE), np.float32)
    field[5, 7:10] = (10, -10, 150)
    found = changes.grained(flat(100), field, np.array([5, 7]), deviation=2)
    assert found[0, :4].tolist() == [[120] * 3, [80] * 3, [255] * 3, [100] * 3]


def test_a_grey_picture_is_changed_in_one_channel_as_it_is_in_three(spot: Image) -> None:
    grey = np.repeat(spot[..., :1], 3, axis=2)
    field = np.random.default_rng(1).normal(0, 5, (2 * SIDE, 2 * SIDE)).astype(np.float32)

    def changed(image: Image) -> Image:
        image = changes.posed(image, one_pose(degrees=20, scale=1.2, shift=(0.1, 0), mirror=-1))
        image = changes.toned(changes.sharpened(image, 0.4), one_curve(exponent=0.8))
        image = changes.grained(image, field, np.array([3, 4]), deviation=2)
        return changes.hidden(changes.packed(image, quality=60), np.array([0, 0.5]), share=0.2)

    assert changes.lean(grey).shape == (SIDE, SIDE)
    assert changes.lean(spot).shape == spot.shape
    apart = changes.whole(changed(changes.lean(grey))).astype(int) - changed(grey)
    assert np.abs(apart).max() <= 2
    assert np.abs(apart).mean() < 0.1


def test_packing_keeps_colours_and_costs_more_detail_at_a_lower_quality() -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    lost = [
        np.abs(changes.packed(image, quality=quality).astype(int) - image).mean()
        for quality in (35, 70, 100)
    ]
    assert lost[0] > lost[1] > lost[2] > 0
    red = flat(0)
    red[..., 0] = 200
    assert changes.packed(red, quality=90)[20, 20].tolist() == pytest.approx([200, 0, 0], abs=4)


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [((0, 0), (15, 25), (15, 25)), ((-1, 1), (0, 5), (35, 40)), ((0.5, 0), (25, 35), (15, 25))],
)
def test_a_square_is_hidden_and_nothing_beside_it(
    place: tuple[float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    found = changes.hidden(flat(90), np.array(place), share=0.25)
    expected = flat(90)
    expected[slice(*rows), slice(*columns)] = 0
    assert np.array_equal(found, expected)
