"""Cuts a model's answers into windows of equal size, each answer into one window at most.

Files are taken in the order of their first answers; one that comes late, because the store was
away, goes into the next window. An image that was asked about twice counts once in a window: a
health check that sends the same picture all day would look like drift. What was taken stands in
a `Ledger`, by file: files never change.
"""

import logging
from collections import deque
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipelines.monitoring.served import PROBABILITY, days, files_of, read_intact_file
from pipelines.storage import Store

logger = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=30)
"""Days whose files are looked at: a service that cannot reach the store keeps samples in memory,
so nothing comes later than that."""


class Ledger(BaseModel):
    """Which answers were taken: ``<date>/<file>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: tuple[str, ...] = ()
    """Files of which nothing is left to take."""
    begun: dict[str, int] = {}
    """File → rows taken, from its beginning."""

    def finished(self, file: str) -> "Ledger":
        """The ledger once nothing of a file is left to take."""
        begun = {name: rows for name, rows in self.begun.items() if name != file}
        return self.model_copy(update={"done": (*self.done, file), "begun": begun})

    def up_to(self, file: str, rows: int) -> "Ledger":
        """The ledger once the first rows of a file are taken."""
        return self.model_copy(update={"begun": self.begun | {file: rows}})


@dataclass(frozen=True)
class Window:
    """Answers that are judged together."""

    table: pa.Table
    """Columns of `served.columns`, all of one model."""
    ledger: Ledger
    """What was taken once this window is."""


class Cutter:
    """Takes one window after the other from a data set's samples.

    Args:
        store: where they are.
        dataset: whose they are.
        model: registry version and run of the model; answers of others are left out.
        ledger: what was taken before.
        today: the last day that is looked back from.
    """

    def __init__(
        self, store: Store, dataset: str, *, model: tuple[int, str], ledger: Ledger, today: date
    ) -> None:
        self._store = store
        self._folder = f"{dataset}/served"
        self._model = model
        standing = _standing(store, dataset, today)
        self.ledger = _without_gone(ledger, standing)
        """What was taken by the windows so far."""
        done = set(self.ledger.done)
        self._files = deque(file for file in standing if file not in done)
        self._rows: tuple[str, _Rows] | None = None
        self.waiting = 0
        """Answers seen that do not make a window yet."""

    def cut(self, size: int) -> Window | None:
        """The next window; ``None`` while there are fewer than ``size`` different images.

        Raises:
            Unavailable: the store does not answer.
        """
        ahead, tables, seen = self.ledger, list[pa.Table](), set[str]()
        self.waiting = 0
        while self._files and self.waiting < size:
            file = self._files[0]
            rows = self._read(file)
            if rows is None:
                self._files.popleft()
                continue
            chosen, stop = rows.choose(ahead.begun.get(file, 0), size - self.waiting, seen)
            self.waiting += len(chosen)
            tables.append(rows.table.take(pa.array(chosen, pa.int64())))
            if stop == rows.table.num_rows:
                self._files.popleft()
                ahead = ahead.finished(file)
                if not rows.mine.any():  # so that it is not read again and again
                    self.ledger = self.ledger.finished(file)
            else:
                ahead = ahead.up_to(file, stop)
        if self.waiting < size:
            return None
        self.ledger, self.waiting = ahead, 0
        return Window(pa.concat_tables(tables, promote_options="default"), ahead)

    def _read(self, file: str) -> "_Rows | None":
        if self._rows is None or self._rows[0] != file:
            read = read_intact_file(self._store, f"{self._folder}/{file}")
            if read is None:
                return None
            table = read.replace_schema_metadata(None)
            rows = _Rows(table, _of_model(table, *self._model), _usable(table))
            if unusable := int((rows.mine & ~rows.usable).sum()):
                logger.warning("%s: %d answers hold values that are no numbers", file, unusable)
            self._rows = (file, rows)
        return self._rows[1]


@dataclass(frozen=True)
class _Rows:
    """The answers of one file, and which of them may be judged."""

    table: pa.Table
    mine: NDArray[np.bool_]
    """Whether they are of the model that is watched."""
    usable: NDArray[np.bool_]
    """Whether all their values are numbers."""

    def choose(self, start: int, room: int, seen: set[str]) -> tuple[list[int], int]:
        """At most ``room`` rows from ``start`` on whose images are not among ``seen``, which
        grows; and the row after the last one looked at."""
        chosen: list[int] = []
        hashes = self.table["sha256"].to_pylist()
        for row in range(start, self.table.num_rows):
            if len(chosen) == room:
                return chosen, row
            if self.mine[row] and self.usable[row] and hashes[row] not in seen:
                chosen.append(row)
                seen |= {hashes[row]} - {None}
        return chosen, self.table.num_rows


def _standing(store: Store, dataset: str, today: date) -> list[str]:
    recent = [day for day in days(store, dataset) if today - LOOK_BACK <= day]
    return [f"{day}/{name}" for day in recent for name in files_of(store, dataset, day)]


def _without_gone(ledger: Ledger, standing: list[str]) -> Ledger:
    there = set(standing)
    done = tuple(file for file in ledger.done if file in there)
    begun = {file: rows for file, rows in ledger.begun.items() if file in there}
    return ledger.model_copy(update={"done": done, "begun": begun})


def _of_model(table: pa.Table, version: int, run_id: str) -> NDArray[np.bool_]:
    pairs = zip(table["model_version"].to_pylist(), table["run_id"].to_pylist(), strict=True)
    return np.array([pair == (version, run_id) for pair in pairs], bool)


def _usable(table: pa.Table) -> NDArray[np.bool_]:
    """Whether every number of a row is one; a file's answers are of one model, so alike."""
    names = [name for name in table.column_names if name.startswith(PROBABILITY)]
    usable = np.ones(table.num_rows, bool)
    if table.num_rows:
        for name in ("mean", "std", *names):
            usable &= np.isfinite(table[name].to_numpy().astype(np.float64))
        features = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        usable &= np.isfinite(features.reshape(table.num_rows, -1)).all(axis=1)
    return usable
