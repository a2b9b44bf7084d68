"""A fit goes on where it was cut off, stops where it should, and keeps its best epoch."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import TrainingError
from pipelines.training.checkpoint import Progress
from pipelines.training.fit import fit
from pipelines.training.schedule import Schedule

SCHEDULE = Schedule(epochs=6, learning_rate=0.01, patience=4, plateau_patience=2)


def rows(scale: float = 1.0) -> tf.data.Dataset:
    """Sixteen numbers, the label their sign."""
    x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    return tf.data.Dataset.from_tensor_slices((x * scale, (x[:, 0] > 0).astype(np.int32))).batch(4)


def line(learning_rate: float = 0.01) -> keras.Model:
    """The smallest classifier, always from the same weights."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def fitted(
    folder: Path,
    *,
    model: keras.Model | None = None,
    schedule: Schedule = SCHEDULE,
    scale: float = 1.0,
) -> tuple[Progress, list[int]]:
    """Fit, and the epochs that were told."""
    told: list[int] = []
    progress = fit(
        model or line(),
        lambda _: rows(scale),
        rows(),
        schedule=schedule,
        seed=1,
        folder=folder,
        on_epoch=lambda epoch, _: told.append(epoch),
    )
    return progress, told


def test_a_fit_goes_on_after_the_last_saved_epoch(tmp_path: Path) -> None:
    fitted(tmp_path / "a", schedule=Schedule(2, 0.01, 4, 2))
    resumed, told = fitted(tmp_path / "a")
    unbroken, every = fitted(tmp_path / "b")
    assert (told, every) == ([3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    for one, other in zip(resumed.history, unbroken.history, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_fit_that_is_done_trains_no_more(tmp_path: Path) -> None:
    model = line()
    fitted(tmp_path, model=model)
    best = model.get_weights()
    again = line()
    assert fitted(tmp_path, model=again)[1] == []
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), best, strict=True))


def test_the_model_gets_its_best_epoch_back(tmp_path: Path) -> None:
    """Labels turned round: every epoch of training makes validation worse."""
    model = line()
    progress, told = fitted(tmp_path, model=model, scale=-1.0, schedule=Schedule(20, 0.05, 3, 2))
    losses = [metrics["val_loss"] for metrics in progress.history]
    assert len(told) == progress.best_epoch + 3 < 20
    assert model.evaluate(rows(), verbose=0)[0] == pytest.approx(min(losses), rel=1e-5)


def test_each_epoch_is_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="pipelines.training.fit"):
        fitted(tmp_path)
    lines = [r.message for r in caplog.records]
    assert len(lines) == 6
    assert lines[0].startswith("epoch 1 of 6: loss 0.")
    assert "validation loss 0." in lines[0]
    assert "to go" in lines[0]


def test_a_training_that_diverges_says_so_and_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"diverged: loss of epoch 1 is nan .*learning rate"):
        fitted(tmp_path, scale=float("inf"))
    assert not list(tmp_path.iterdir())
