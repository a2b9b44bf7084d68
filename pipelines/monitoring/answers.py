"""What a model answered to many pictures, as monitoring compares it: no pixels, nobody's name."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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
    def confidence(self) -> NDArray[np.float32]:
        """(n,) calibrated probability of the class decided for."""
        return self.probabilities[np.arange(len(self)), self.predicted]

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

    def distinct(self) -> "Answers":
        """The same with a picture that was asked again (equal features) counted once.

        A probe that asks one picture every minute says nothing of the patients.
        """
        _, first = np.unique(self.features, axis=0, return_index=True)
        return self.take(np.sort(first))

    def known_by(self, groups: tuple[str, ...]) -> "Answers":
        """The same with whom each picture shows."""
        return replace(self, groups=groups)


def of_samples(table: pa.Table, classes: Iterable[str]) -> Answers:
    """The answers in samples of the service (`pipelines.monitoring.served`).

    Args:
        table: rows of one model; no column is null.
        classes: of that model, in the order of its outputs.
    """
    names = tuple(classes)
    place = {name: index for index, name in enumerate(names)}
    shares = [table[PROBABILITY + name].to_numpy() for name in names]
    return Answers(
        classes=names,
        predicted=np.array([place[name] for name in table["predicted"].to_pylist()], np.int64),
        probabilities=np.stack(shares, axis=1).astype(np.float32),
        abstained=np.array(table["abstained"].to_pylist(), np.bool_),
        features=_matrix(table["features"]),
        pictures=np.stack([table[name].to_numpy() for name in PICTURE], axis=1).astype(np.float32),
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
