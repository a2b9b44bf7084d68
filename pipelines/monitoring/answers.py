"""A model's answers to many images, as monitoring compares them: no pixels, no names."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.evaluation.decisions import Decisions
from pipelines.monitoring.served import PROBABILITY

PICTURE = ("mean", "std", "width", "height")
"""Of a decoded picture: its grey shades, 0 to 255, and its sides in pixels."""


@dataclass(frozen=True)
class Answers:
    """Answers of one model, row by row."""

    classes: tuple[str, ...]
    """In the order of the model's outputs."""
    predicted: NDArray[np.int64]
    """(n,) index of the class decided for."""
    probabilities: NDArray[np.float32]
    """(n, classes), calibrated."""
    abstained: NDArray[np.bool_]
    """(n,)"""
    features: NDArray[np.float32]
    """(n, channels) the last feature map's means."""
    pictures: NDArray[np.float32]
    """(n, 4), the columns of `PICTURE`."""
    groups: tuple[str, ...] | None = None
    """Whom each picture shows (patient, lesion, cluster of copies); ``None`` where that is not
    known, as in served traffic."""

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def decisions(self) -> Decisions:
        """What the service decided, by which right and wrong are counted."""
        return Decisions.recorded(
            self.probabilities, self.classes, self.predicted, abstained=self.abstained
        )

    @property
    def confidence(self) -> NDArray[np.floating]:
        """(n,) calibrated probability of the class decided for."""
        return self.decisions.confidence

    def take(self, rows: NDArray[np.integer]) -> "Answers":
        """Some of the rows, by position."""
        return replace(
            self,
            predicted=self.predicted[rows],
            probabilities=self.probabilities[rows],
            abstained=self.abstained[rows],
            features=self.features[rows],
            pictures=self.pictures[rows],
            groups=tuple(self.groups[row] for row in rows) if self.groups is not None else None,
        )

    def known_by(self, groups: tuple[str, ...]) -> "Answers":
        """The same with whom each picture shows."""
        return replace(self, groups=groups)


def of_samples(table: pa.Table, classes: Iterable[str]) -> Answers:
    """The answers in samples of the service (`pipelines.monitoring.served`).

    Args:
        table: rows of one model; no column is null.
        classes: of that model, in the order of its outputs.
    """
    decisions = decisions_in(table, classes)
    return Answers(
        classes=decisions.classes,
        predicted=decisions.decided.astype(np.int64),
        probabilities=decisions.probabilities.astype(np.float32),
        abstained=decisions.abstained,
        features=_matrix(table["features"]),
        pictures=np.stack([table[name].to_numpy() for name in PICTURE], axis=1).astype(np.float32),
    )


def decisions_in(table: pa.Table, classes: Iterable[str]) -> Decisions:
    """The decisions in samples of the service, with or without their features.

    Args:
        table: rows of one model; ``predicted``, ``abstained`` and its probabilities are not null.
        classes: of that model, in the order of its outputs.
    """
    names = tuple(classes)
    position = {name: index for index, name in enumerate(names)}
    shares = [table[PROBABILITY + name].to_numpy() for name in names]
    decided = [position[name] for name in table["predicted"].to_pylist()]
    return Decisions.recorded(
        np.stack(shares, axis=1).astype(np.float32),
        names,
        np.array(decided, np.int64),
        abstained=np.array(table["abstained"].to_pylist(), np.bool_),
    )


def to_table(answers: Answers) -> pa.Table:
    """The columns that `of_samples` reads."""
    shares = answers.probabilities
    ends = np.arange(len(answers) + 1, dtype=np.int32) * answers.features.shape[1]
    return pa.table(
        {
            "predicted": [answers.classes[index] for index in answers.predicted],
            "abstained": answers.abstained,
            **{PROBABILITY + name: shares[:, i] for i, name in enumerate(answers.classes)},
            "features": pa.ListArray.from_arrays(ends, answers.features.ravel()),
            **{name: answers.pictures[:, i] for i, name in enumerate(PICTURE)},
        }
    )


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column of lists of one length as (n, length)."""
    lists = column.combine_chunks()
    return np.asarray(lists.flatten().to_numpy(), np.float32).reshape(len(lists), -1)
