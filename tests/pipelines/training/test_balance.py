"""Rare classes weigh more, or are shown more often; so are rare sources."""

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.training.balance import (
    MOST_SHOWN,
    class_weights,
    require_every_class,
    times_shown,
)

LABELS = np.repeat(np.arange(3, dtype=np.int32), (60, 30, 10))


def test_rare_classes_weigh_more() -> None:
    weights = class_weights(LABELS, 3)
    assert [weights[i] * n for i, n in enumerate((60, 30, 10))] == pytest.approx([100 / 3] * 3)


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(TrainingError, match="'b'"):
        require_every_class(np.zeros(4, np.int32), ("a", "b"))


def test_every_class_is_shown_equally_often_and_every_image_of_it_too() -> None:
    shown = times_shown(LABELS, None, seed=1, epoch=0)
    assert np.bincount(LABELS, shown).tolist() == [33, 33, 33]
    for label in range(3):
        assert np.ptp(shown[label == LABELS]) <= 1


def test_within_a_class_every_source_is_shown_equally_often() -> None:
    sources = np.arange(100) % 10 // 7
    shown = times_shown(LABELS, sources, seed=1, epoch=0)
    cells = {(y, s): shown[(y == LABELS) & (sources == s)].sum() for y in range(3) for s in (0, 1)}
    assert set(cells.values()) <= {16, 17}


def test_no_image_is_shown_without_end() -> None:
    labels = np.array([0] * 999 + [1], np.int32)
    assert times_shown(labels, None, seed=1, epoch=0)[-1] == MOST_SHOWN


def test_who_is_shown_once_more_is_drawn_anew_each_epoch_and_again_the_same() -> None:
    first, again, next_epoch = (times_shown(LABELS, None, seed=1, epoch=e) for e in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, next_epoch)
