"""Every group with masks is held out by one network, whole."""

from collections import Counter

import pytest

from pipelines.errors import TrainingError
from pipelines.segmentation.folds import divided

GROUPS = [f"patient-{number}" for number in range(20)]


def test_each_group_is_in_one_fold_and_folds_are_alike_in_size() -> None:
    found = divided([*GROUPS, *GROUPS[:5]], folds=3, seed=7)
    assert sorted(found) == sorted(GROUPS)
    assert sorted(Counter(found.values()).values()) == [6, 7, 7]
    assert found == divided(reversed(GROUPS), folds=3, seed=7)
    assert found != divided(GROUPS, folds=3, seed=8)


def test_fewer_groups_make_fewer_folds_and_one_is_refused() -> None:
    assert sorted(divided(GROUPS[:2], folds=5, seed=7).values()) == [0, 1]
    with pytest.raises(TrainingError, match=r"from 1 group .*at least 2 .*image\.crop"):
        divided(["same"] * 30, folds=5, seed=7)
