"""Whether maps lie on masks: the pointing game, the energy, and what chance comes to."""

import numpy as np
import pytest

from pipelines.evidence.pointing import by_chance, centre, inside_body, mean_interval, pointing


def square(size: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_map_that_is_hottest_in_the_lesion_hits_and_one_beside_it_misses() -> None:
    heats = np.full((2, 8, 8), 0.1, np.float32)
    heats[0, 2, 2] = heats[1, 6, 6] = 1.0
    masks = np.stack([square(8, 1, 1, 3)] * 2)

    found = pointing(heats, masks)

    assert found.hits.tolist() == [1, 0]
    total = 63 * 0.1 + 1
    assert found.energy == pytest.approx([(8 * 0.1 + 1) / total, 9 * 0.1 / total])


def test_a_map_without_heat_misses_and_has_nothing_inside() -> None:
    masks = square(8, 0, 0, 4)[None]  # with the pixel that argmax names when all are equal

    found = pointing(np.zeros((1, 8, 8), np.float32), masks)

    assert found.hits.tolist() == [0]
    assert found.energy.tolist() == [0]


def test_no_masks_are_no_figures() -> None:
    none = pointing(np.zeros((0, 8, 8), np.float32), np.zeros((0, 8, 8), np.bool_))

    assert none.hits.shape == none.energy.shape == (0,)


def test_chance_comes_to_the_share_of_the_picture_that_the_lesion_takes() -> None:
    masks = np.stack([square(20, 3, 4, 8), square(20, 0, 0, 2)])
    drawn = np.random.default_rng(5).random((4000, 20, 20), np.float32)

    expected = by_chance(masks)

    assert expected.hits == pytest.approx([0.16, 0.01])
    thrown = pointing(drawn, np.broadcast_to(masks[0], drawn.shape))
    assert thrown.hits.mean() == pytest.approx(0.16, abs=0.02)
    assert thrown.energy.mean() == pytest.approx(0.16, abs=0.01)


def test_the_centre_s_map_hits_lesions_in_the_middle_only() -> None:
    heats = np.stack([centre(32)] * 2)
    masks = np.stack([square(32, 12, 12, 8), square(32, 0, 0, 8)])

    assert pointing(heats, masks).hits.tolist() == [1, 0]


def test_heat_beside_the_body_does_not_count_as_inside() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = 200
    on, beside = np.zeros((2, 64, 64), np.float32)
    on[20:40, 20:40] = 1
    beside[:8] = 1
    heats = np.stack([on, beside, (on + beside), np.zeros_like(on)])

    shares = inside_body(heats, np.stack([picture] * 4))

    assert shares[:3] == pytest.approx([1, 0, 400 / 912])
    assert np.isnan(shares[3])


def test_the_interval_of_a_mean_is_wider_where_images_belong_together() -> None:
    values = np.repeat([0.0, 1.0], 20)
    alone = mean_interval(values, [str(i) for i in range(40)], seed=1)
    together = mean_interval(values, [str(i // 10) for i in range(40)], seed=1)
    with_gaps = mean_interval(np.append(values, np.nan), [str(i) for i in range(41)], seed=1)

    assert alone.low < 0.5 < alone.high
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert with_gaps == pytest.approx(alone, abs=1e-9)
