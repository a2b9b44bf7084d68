"""What a model says about every image of a split, one row an image."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.input.training_set import Batch, TrainingSet
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.network import Network
from pipelines.evaluation.operating_point import Thresholds
from pipelines.outputs import SplitName
from pipelines.progress import track

BATCH = 32
COLUMNS = ("sha256", "source_path", "group", "label")


def predict(network: Network, data: TrainingSet, splits: tuple[SplitName, ...]) -> pd.DataFrame:
    """Ask a network about splits, in file order.

    Args:
        network: it.
        data: the training set.
        splits: which.

    Returns:
        ``split``, ``sha256``, ``source_path``, ``group``, ``label`` (class name) and
        ``logit.<class>`` for each class; `with_probabilities` and `with_decisions` add the rest.
    """
    frames = []
    for split in splits:
        rows = described(data, split)
        rows.insert(0, "split", split)
        answers = np.concatenate([network.logits(batch) for batch in images(data, split)])
        for index, name in enumerate(data.classes):
            rows[f"logit.{name}"] = answers[:, index]
        frames.append(rows)
    return pd.concat(frames, ignore_index=True)


def with_probabilities(
    rows: pd.DataFrame, classes: tuple[str, ...], *, temperature: float
) -> pd.DataFrame:
    """The same rows with ``probability.<class>``, calibrated by a temperature."""
    probabilities = softmax(logits_of(rows, classes), temperature)
    columns = [f"probability.{name}" for name in classes]
    return rows.assign(**dict(zip(columns, probabilities.T, strict=True)))


def with_decisions(
    rows: pd.DataFrame, classes: tuple[str, ...], thresholds: Thresholds | None
) -> pd.DataFrame:
    """The same rows with ``predicted``, the name of the class that the service would decide for.

    Args:
        rows: with ``probability.<class>``.
        classes: of the model.
        thresholds: of each class; the likeliest decides if ``None``.
    """
    return rows.assign(predicted=decisions_of(rows, classes, thresholds).names)


def decisions_of(
    rows: pd.DataFrame,
    classes: tuple[str, ...],
    thresholds: Thresholds | None,
    *,
    min_certainty: float = 0.0,
) -> Decisions:
    """What the service would answer to rows with ``probability.<class>``; see `Decisions`."""
    return Decisions.by_thresholds(
        probabilities_of(rows, classes), classes, thresholds, min_certainty=min_certainty
    )


def described(data: TrainingSet, split: SplitName) -> pd.DataFrame:
    """The images of a split without their pixels, in order; ``label`` is the class name."""
    rows = data.described(split)[[*COLUMNS]]
    return rows.assign(label=np.array(data.classes)[rows["label"]])


def batches(data: TrainingSet, split: SplitName) -> Iterator[Batch]:
    """The images of a split in order, with progress."""
    part = data.split(split)
    total = -(-part.rows // BATCH)
    return track(part.batches(BATCH), total=total, what=f"Asking about {split} (batches)")


def images(data: TrainingSet, split: SplitName) -> Iterator[NDArray[np.float32]]:
    """The images of a split in batches, float32 (n, size, size, 3), in order."""
    return (batch.images.astype(np.float32) for batch in batches(data, split))


def labels_of(rows: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """(n,) index of each image's true class."""
    return np.array([classes.index(name) for name in rows["label"]], np.int64)


def probabilities_of(rows: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """(n, classes) what the model said, calibrated."""
    return rows[[f"probability.{name}" for name in classes]].to_numpy(np.float64)


def logits_of(rows: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float32]:
    """(n, classes) what the model said before softmax."""
    return rows[[f"logit.{name}" for name in classes]].to_numpy(np.float32)
