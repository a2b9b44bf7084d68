"""Parts and folds keep groups whole and classes in proportion."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.errors import TrainingError
from pipelines.studies.cross_validation import corrected_interval, divide, training_seed
from pipelines.studies.learning_curve import nested

GROUPS = 60


@pytest.fixture
def rows() -> pd.DataFrame:
    """Groups of one to three images, a fifth of them of the second class, in mixed order."""
    listed = [
        {"group": f"patient-{number}", "label": int(number % 5 == 0)}
        for number in range(GROUPS)
        for _ in range(1 + number % 3)
    ]
    return pd.DataFrame(listed).sample(frac=1, random_state=3).reset_index(drop=True)


def test_each_part_of_a_curve_holds_the_smaller_ones_and_whole_groups(rows: pd.DataFrame) -> None:
    parts = nested(rows, [0.1, 0.25, 0.5, 1.0], seed=7)

    chosen = [set(rows["group"][part]) for part in parts.values()]
    assert [len(groups) for groups in chosen] == [5 + 2, 12 + 3, 24 + 6, GROUPS]
    for smaller, larger in pairwise(chosen):
        assert smaller < larger
    for part, groups in zip(parts.values(), chosen, strict=True):
        assert set(rows["group"][~part]).isdisjoint(groups)


def test_every_class_stands_in_the_smallest_part(rows: pd.DataFrame) -> None:
    assert set(rows["label"][nested(rows, [0.01], seed=7)[0.01]]) == {0, 1}


def test_the_seed_decides_who_is_drawn(rows: pd.DataFrame) -> None:
    one, again, other = (nested(rows, [0.25], seed=seed)[0.25] for seed in (7, 7, 8))

    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_each_image_is_held_out_once_and_groups_stay_whole(rows: pd.DataFrame) -> None:
    divided = divide(rows, folds=5, seed=7)

    held_out = np.array([part == "test" for part in divided])
    assert (held_out.sum(axis=0) == 1).all()
    for part in divided:
        assert pd.Series(part).groupby(rows["group"]).nunique().eq(1).all()
        for name in ("train", "validation", "test"):
            assert rows["label"][part == name].mean() == pytest.approx(0.2, abs=0.1)


def test_another_seed_makes_other_folds(rows: pd.DataFrame) -> None:
    assert not np.array_equal(divide(rows, folds=5, seed=7), divide(rows, folds=5, seed=8))


def test_too_few_groups_for_the_folds_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(TrainingError, match=r"Class number 1 has 12 groups .* 12 folds"):
        divide(rows, folds=12, seed=7)


def test_the_interval_of_a_mean_is_corrected_for_shared_training_images() -> None:
    values = [0.90, 0.92, 0.88, 0.94, 0.86]
    spread = np.std(values, ddof=1)

    plain = corrected_interval(values, judged_by_trained=0)
    corrected = corrected_interval(values, judged_by_trained=0.25)

    expected = stats.t.interval(0.95, 4, loc=0.9, scale=spread / np.sqrt(5))
    assert plain == pytest.approx(expected)
    reach = stats.t.ppf(0.975, 4) * spread * np.sqrt(1 / 5 + 0.25)
    assert corrected.low == pytest.approx(0.9 - reach)
    assert corrected.high == pytest.approx(0.9 + reach)


def test_the_corrected_interval_covers_where_the_plain_one_does_not() -> None:
    """Trainings that share images err together: simulated, a plain interval is too narrow."""
    drawn = np.random.default_rng(5)
    covered = {"plain": 0, "corrected": 0}
    for _ in range(2000):
        shared = drawn.normal(0, 0.02)
        values = [float(0.5 + shared + noise) for noise in drawn.normal(0, 0.04, 10)]
        for name, ratio in (("plain", 0.0), ("corrected", 0.25)):
            low, high = corrected_interval(values, judged_by_trained=ratio)
            covered[name] += low <= 0.5 <= high

    assert covered["plain"] < 0.85 * 2000
    assert covered["corrected"] > 0.93 * 2000


def test_each_training_of_a_cross_validation_begins_from_other_weights() -> None:
    seeds = [training_seed(7, training=number) for number in range(10)]
    epochs = {seed + epoch for seed in seeds for epoch in range(999)}
    assert len(epochs) == 10 * 999, "no training repeats the numbers of another's epochs"
