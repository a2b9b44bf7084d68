import numpy as np
import pytest
from scipy import stats

from pipelines.features import texture
from pipelines.features.texture import CO_OCCURRENCE, FIRST_ORDER, LEVELS, NAMES

RAMP = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
NOISE = np.random.default_rng(3).integers(0, 256, (64, 64)).astype(np.uint8)
FLAT = np.full((64, 64), 77, np.uint8)
HARALICK = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]], np.uint8)
"""The example of Haralick's paper, four shades."""


def named(grey: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, texture.describe(grey).tolist(), strict=True))


def test_first_order_statistics_are_scipys() -> None:
    expected = [NOISE.mean(), NOISE.var(), NOISE.std()]
    expected += [stats.skew(NOISE, axis=None), stats.kurtosis(NOISE, axis=None)]
    assert texture.first_order(NOISE) == pytest.approx(expected)
    assert len(FIRST_ORDER) == len(expected)


def test_neighbours_are_counted_as_in_haralicks_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texture, "LEVELS", 4)
    across, diagonal, down, other = texture.co_occurrence_matrices(HARALICK * 64)
    assert (across * 24).round().tolist() == [
        [4, 2, 1, 0],
        [2, 4, 0, 0],
        [1, 0, 6, 1],
        [0, 0, 1, 2],
    ]
    assert (down * 24).round().tolist() == [[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]]
    assert (other * 18).round().tolist() == [[4, 1, 0, 0], [1, 2, 2, 0], [0, 2, 4, 1], [0, 0, 1, 0]]
    assert (diagonal * 18).round().tolist() == [
        *([2, 1, 3, 0], [1, 2, 1, 0], [3, 1, 0, 2], [0, 0, 2, 0])
    ]


def test_a_picture_of_one_shade_is_uniform_and_has_no_contrast() -> None:
    flat = named(FLAT)
    assert (flat["mean"], flat["std"], flat["skewness"], flat["kurtosis"]) == (77, 0, 0, 0)
    assert (flat["contrast"], flat["dissimilarity"], flat["entropy"]) == (0, 0, 0)
    assert (flat["asm"], flat["energy"], flat["homogeneity"], flat["correlation"]) == (1, 1, 1, 1)
    assert flat["coarseness"] == 2


def test_noise_is_rougher_than_a_ramp() -> None:
    noise, ramp = named(NOISE), named(RAMP)
    assert noise["contrast"] > 50 * ramp["contrast"]
    assert noise["entropy"] > ramp["entropy"]
    assert noise["homogeneity"] < ramp["homogeneity"]
    assert abs(noise["correlation"]) < 0.05
    assert ramp["correlation"] > 0.98


def test_energy_is_the_root_of_the_second_moment() -> None:
    found = named(NOISE)
    assert found["energy"] == pytest.approx(found["asm"] ** 0.5, rel=1e-5)
    assert len(CO_OCCURRENCE) == 7
    assert LEVELS == 32


def test_coarseness_grows_with_the_patches() -> None:
    drawn = np.random.default_rng(1)
    sizes = []
    for patch in (1, 4, 16):
        field = drawn.integers(0, 256, (128 // patch, 128 // patch)).astype(np.uint8)
        sizes.append(texture.coarseness(field.repeat(patch, axis=0).repeat(patch, axis=1)))
    assert sizes == sorted(sizes)
    assert sizes[2] > 1.5 * sizes[0]


def test_the_smallest_pictures_have_numbers_too() -> None:
    drawn = np.random.default_rng(2)
    assert np.isfinite(texture.describe(drawn.integers(0, 256, (32, 32)).astype(np.uint8))).all()
