"""Each change of an image does what it says, and no more."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.training import changes

Image = NDArray[np.uint8]
SIDE = 40
STILL = changes.Pose(degrees=0, scale=1, across=0, down=0, mirrored=False)
EVEN = np.ones(changes.QUARTERS)


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
    assert np.array_equal(changes.posed(spot, STILL), spot)


@pytest.mark.parametrize(
    ("pose", "row", "column"),
    [
        (changes.Pose(0, 1, 0, 0, mirrored=True), 9.5, 29.5),
        (changes.Pose(180, 1, 0, 0, mirrored=False), 29.5, 29.5),
        (changes.Pose(0, 1, 0.1, 0, mirrored=False), 9.5, 5.5),
        (changes.Pose(0, 1, 0, -0.1, mirrored=False), 13.5, 9.5),
        (changes.Pose(0, 2, 0, 0, mirrored=False), -0.5, -0.5),
    ],
    ids=["mirrored", "turned", "moved left", "moved down", "twice as large"],
)
def test_a_pose_moves_what_is_shown(
    spot: Image, pose: changes.Pose, row: float, column: float
) -> None:
    found = changes.posed(spot, pose)
    if row < 0:  # out of sight but for a corner
        assert found[:5, :5].min() > 0
        assert (found[..., 0] > 50).sum() == pytest.approx(25, abs=12)
    else:
        assert middle(found) == pytest.approx((row, column), abs=0.3)
    assert found[-3:, :3].max() == 0


def test_turned_by_a_quarter_it_keeps_its_size_and_colours(spot: Image) -> None:
    found = changes.posed(spot, changes.Pose(90, 1, 0, 0, mirrored=False))
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
    curve = changes.tone_curve(exponent=1, stretches=EVEN, contrast=1, brightness=0)
    assert np.array_equal(curve, np.arange(256))


@pytest.mark.parametrize(
    ("change", "level", "expected"),
    [
        ({"exponent": 2.0}, 128, 64),
        ({"stretches": np.array([2.0, 1, 1, 1])}, 64, 102),
        ({"contrast": 1.5}, 100, 150),
        ({"contrast": 1.5}, 200, 255),
        ({"brightness": -20}, 100, 80),
        ({"brightness": -20}, 10, 0),
        ({"contrast": 0.5, "brightness": 10}, 100, 60),
    ],
)
def test_the_curve_bends_as_it_is_told(change: dict[str, float], level: int, expected: int) -> None:
    still: dict[str, object] = {
        **{"exponent": 1, "stretches": EVEN, "contrast": 1, "brightness": 0}
    }
    curve = changes.tone_curve(**(still | change))  # type: ignore[arg-type]
    assert changes.toned(flat(level), curve)[0, 0].tolist() == pytest.approx([expected] * 3, abs=1)


def test_grain_is_added_alike_to_all_channels_and_stays_within_range() -> None:
    grain = np.zeros((2 * SIDE, 2 * SIDE), np.float32)
    grain[0, :3] = (20, -20, 300)
    found = changes.grained(flat(100), grain)
    assert found[0, :4].tolist() == [[120] * 3, [80] * 3, [255] * 3, [100] * 3]


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
    found = changes.hidden(flat(90), place, share=0.25)
    expected = flat(90)
    expected[slice(*rows), slice(*columns)] = 0
    assert np.array_equal(found, expected)
