"""A training's whole state after an epoch, on disk, so that a killed one goes on from there.

The weights, the optimiser's variables and the seeds of random layers go into one ``.npz``; what
the schedule knows (epoch, best, patience) goes into ``state.json``, which is replaced last. A
kill at any moment leaves either the state before an epoch or the state after it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from pipelines.atomic import written_whole

if TYPE_CHECKING:
    import keras

STATE = "state.json"


class Progress(BaseModel):
    """What a training has behind it."""

    epochs: int = 0
    """Epochs done."""
    history: list[dict[str, float]] = []
    """Metrics of each epoch."""
    best_epoch: int = 0
    """The epoch, counted from 1, with the least validation loss; 0 before the first."""
    best_loss: float = float("inf")
    since_best: int = 0
    """Epochs since then."""
    since_slower: int = 0
    """Epochs without a better loss since the learning rate was last lowered."""
    learning_rate: float
    seconds: float = 0


def save(folder: Path, model: "keras.Model", progress: Progress) -> None:
    """Write the state after an epoch; older states are removed once the new one stands."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"v{i}": np.asarray(v) for i, v in enumerate(_variables(model))}
    _write(folder / _name(progress.epochs), arrays)
    if progress.best_epoch == progress.epochs:
        weights = {f"w{i}": w for i, w in enumerate(model.get_weights())}
        _write(folder / _best_name(progress.epochs), weights)
    with written_whole(folder / STATE) as part:
        part.write_text(progress.model_dump_json())
    keep = {_name(progress.epochs), _best_name(progress.best_epoch)}
    for pattern in ("epoch-*.npz", "best-*.npz"):
        for old in folder.glob(pattern):
            if old.name not in keep:
                old.unlink()


def resume(folder: Path, model: "keras.Model", *, learning_rate: float) -> Progress:
    """Give a compiled model the newest saved state, if there is one.

    Returns:
        What is done already; nothing, at ``learning_rate``, if no state was saved.
    """
    model.optimizer.build(model.trainable_variables)
    path = folder / STATE
    if not path.is_file():
        return Progress(learning_rate=learning_rate)
    progress = Progress.model_validate_json(path.read_text())
    with np.load(folder / _name(progress.epochs), allow_pickle=False) as arrays:
        for i, variable in enumerate(_variables(model)):
            variable.assign(arrays[f"v{i}"])
    return progress


def load_best(folder: Path, model: "keras.Model", progress: Progress) -> None:
    """Give a model the weights of its best epoch."""
    with np.load(folder / _best_name(progress.best_epoch), allow_pickle=False) as arrays:
        model.set_weights([arrays[f"w{i}"] for i in range(len(arrays.files))])


def _variables(model: "keras.Model") -> list["keras.Variable"]:
    """Weights, optimiser and seeds, always in the same order."""
    return [*model.variables, *model.optimizer.variables]


def _name(epoch: int) -> str:
    return f"epoch-{epoch:04}.npz"


def _best_name(epoch: int) -> str:
    return f"best-{epoch:04}.npz"


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with written_whole(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
