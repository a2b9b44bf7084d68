import numpy as np
import pandas as pd
import pytest

from pipelines.features.extract import Described
from pipelines.profile import alike
from pipelines.profile.alike import closest

DRAWN = np.random.default_rng(8)


def described(held_out: int = 20) -> Described:
    """60 training images and some test images; test images 0 and 1 are nearly training image 5,
    test image 2 nearly training image 7."""
    values = DRAWN.normal(size=(60 + held_out, 16)).astype(np.float32) + 3
    values[60] = values[5] + 1e-4
    values[61] = values[5] + 1e-2
    values[62] = values[7] + 1e-3
    splits = ["train"] * 60 + ["test"] * held_out
    return Described(pd.DataFrame({"split": splits, "label": 0}), values)


def test_the_most_alike_come_first_and_no_training_image_twice() -> None:
    first, second, *rest = closest(described(), pairs=10, seed=1)
    assert (first.held_out, first.training) == (60, 5)
    assert (second.held_out, second.training) == (62, 7)
    assert first.similarity == pytest.approx(1, abs=1e-4)
    assert len(rest) == 8
    assert all(pair.similarity < 0.9 and pair.training not in (5, 7) for pair in rest)
    assert [p.similarity for p in rest] == sorted((p.similarity for p in rest), reverse=True)


def test_large_collections_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "HELD_OUT_ROWS", 4)
    monkeypatch.setattr(alike, "TRAINING_ROWS", 30)
    given = described(held_out=10)
    found = closest(given, pairs=10, seed=1)
    assert 1 <= len(found) <= 4
    assert found == closest(given, pairs=10, seed=1)


def test_without_held_out_images_there_are_no_pairs() -> None:
    assert closest(described().of("train"), pairs=5, seed=1) == []
