"""Asking a bundle about images of a snapshot, as the service would be asked about them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS, Row
from pipelines.errors import BadImage, NotFound
from pipelines.evaluation.novelty import pool
from pipelines.imaging.shades import grey_level
from pipelines.monitoring.answers import Answers
from pipelines.progress import track
from pipelines.release.predictor import Predictor, Reading
from pipelines.stage import Context

logger = logging.getLogger(__name__)

ASKED = (*PACK_COLUMNS, "label", "patient")
"""Columns of what is asked about."""


@dataclass(frozen=True)
class Asked:
    """What a model answered, beside what is known of the images."""

    answers: Answers
    labels: NDArray[np.int64]
    """(n,) index of the true class; -1 of one that the model does not know."""


def ask(context: Context, predictor: Predictor, rows: Sequence[Row]) -> Asked:
    """Ask about originals of a snapshot.

    Args:
        context: settings and store.
        predictor: the bundle, ready to answer.
        rows: files, with `ASKED`; an image without a ``patient`` is a group of its own.

    Returns:
        One row an image, in the order they are packed in. An image that is no longer accepted,
        or whose answer is not made of finite numbers, is left out, with a line in the log.

    Raises:
        NotFound: not one image can be asked about.
        StoreUnavailable: the store does not answer, or gave back other bytes than were landed.
    """
    asked: list[tuple[Row, Noted]] = []
    found = track(originals(context, rows), total=len(rows), what="Asking the model")
    for row, content in found:
        try:
            note = noted(predictor.read(content))
        except BadImage as error:
            logger.warning("%s is left out: %s", row["source_path"], error)
            continue
        if np.isfinite(note.features).all() and np.isfinite(note.probabilities).all():
            asked.append((row, note))
        else:
            logger.warning("%s is left out: its answer is not finite", row["source_path"])
    if not asked:
        raise NotFound(f"None of {len(rows)} images of {predictor.dataset} can be asked about.")
    known = {name: index for index, name in enumerate(predictor.class_names)}
    answers = collected(predictor.class_names, [note for _, note in asked])
    return Asked(
        answers=answers.known_by(tuple(row["patient"] or row["sha256"] for row, _ in asked)),
        labels=np.array([known.get(row["label"], -1) for row, _ in asked], np.int64),
    )


@dataclass(frozen=True)
class Noted:
    """What is kept of a reading; not its pixels, nor its whole feature map."""

    predicted: int
    probabilities: NDArray[np.float32]
    abstained: bool
    features: NDArray[np.float32]
    picture: tuple[float, float, int, int]


def noted(reading: Reading) -> Noted:
    """The little of a reading that is kept."""
    height, width = reading.picture.shape[:2]
    return Noted(
        predicted=reading.best,
        probabilities=reading.probabilities,
        abstained=bool(reading.doubts),
        features=pool(reading.features[None])[0],
        picture=(*grey_level(reading.picture), width, height),
    )


def collected(classes: tuple[str, ...], notes: Sequence[Noted]) -> Answers:
    """Notes on one model's readings by columns; whom they show is not known."""
    return Answers(
        classes=classes,
        predicted=np.array([note.predicted for note in notes], np.int64),
        probabilities=np.stack([note.probabilities for note in notes]),
        abstained=np.array([note.abstained for note in notes]),
        features=np.stack([note.features for note in notes]),
        pictures=np.array([note.picture for note in notes], np.float32),
    )
