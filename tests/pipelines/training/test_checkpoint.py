"""A kill at any moment of a save leaves the state before it or the state after it."""

import contextlib
from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.training import checkpoint
from pipelines.training.checkpoint import Progress


def model(value: float) -> keras.Model:
    """All weights and optimiser variables are ``value``."""
    built = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    built.compile("adam", "mse")
    built.optimizer.build(built.trainable_variables)
    for variable in [*built.trainable_variables, *built.optimizer.variables]:
        variable.assign(np.full(variable.shape, value))
    return built


def after(epochs: int, *, best: int) -> Progress:
    return Progress(epochs=epochs, best_epoch=best, best_loss=0.5, learning_rate=0.1)


def kernel(of: keras.Model) -> float:
    return float(np.asarray(of.trainable_variables[0])[0, 0])


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours sees it coming."""


def test_weights_optimiser_and_progress_come_back(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, model(3), after(1, best=1))
    other = model(0)
    progress = checkpoint.resume(tmp_path, other, learning_rate=9.0)
    assert progress == after(1, best=1)
    assert {float(np.max(v)) for v in other.optimizer.variables} == {3.0}
    assert kernel(other) == 3.0


def test_without_a_state_nothing_is_done_yet(tmp_path: Path) -> None:
    fresh = model(2)
    progress = checkpoint.resume(tmp_path / "none", fresh, learning_rate=0.2)
    assert (progress.epochs, progress.learning_rate, kernel(fresh)) == (0, 0.2, 2.0)


def test_the_best_epoch_is_kept_beside_the_last(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 4):
        checkpoint.save(tmp_path, model(epoch), after(epoch, best=min(epoch, 2)))
    checkpoint.load_best(tmp_path, best := model(0), after(4, best=2))
    assert kernel(best) == 2.0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["best-0002.npz", "epoch-0004.npz", "state.json"]


@pytest.mark.parametrize("step", range(1, 6))
@pytest.mark.parametrize("call", ["replace", "unlink"])
def test_a_kill_within_a_save_leaves_a_whole_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int
) -> None:
    checkpoint.save(tmp_path, model(1), after(1, best=1))
    calls, original = iter(range(1, 100)), getattr(Path, call)

    def killing(path: Path, *arguments: object) -> object:
        if next(calls) == step:
            raise Killed
        return original(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, killing)
        with contextlib.suppress(Killed):
            checkpoint.save(tmp_path, model(2), after(2, best=2))

    resumed = model(0)
    progress = checkpoint.resume(tmp_path, resumed, learning_rate=0.1)
    assert progress in (after(1, best=1), after(2, best=2))
    assert kernel(resumed) == progress.epochs
    checkpoint.load_best(tmp_path, resumed, progress)
    assert kernel(resumed) == progress.best_epoch
