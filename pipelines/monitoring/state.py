"""What the monitor knows of a data set from one run to the next.

    <dataset>/monitoring/state/<number>.json      the newest counts; each appears whole
    <dataset>/monitoring/windows/<number>.parquet the answers of a window, without their features

A window counts once the state that names it stands: a run that is killed before cuts it anew.
"""

import io
import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from pipelines.monitoring.estimate import Estimate
from pipelines.monitoring.judge import Finding
from pipelines.monitoring.performance import MeasuredPerformance
from pipelines.monitoring.windows import Ledger
from pipelines.storage import Store

KEPT = 100
"""Windows, the latest, of which the state tells."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JudgedWindow(_Part):
    """A window of served answers."""

    number: int
    """Counted from 1 over all models of the data set."""
    first: datetime
    last: datetime
    """When its answers were given."""
    answers: int
    abstained: float
    """Share of them."""
    classes: dict[str, int]
    """Class decided for → answers."""
    findings: tuple[Finding, ...]
    estimate: Estimate
    """Without labels."""
    measured: MeasuredPerformance | None = None
    """With those labels that have come."""

    @property
    def troubled(self) -> bool:
        """Whether drift of any kind was seen."""
        return any(finding.drifted for finding in self.findings)


class JudgedSnapshot(_Part):
    """The images that a snapshot has added."""

    id: str
    added: int
    asked: int
    """Images that the champion was asked about; 0 if they were too few to judge."""
    findings: tuple[Finding, ...] = ()
    measured: MeasuredPerformance | None = None
    """How well it does on them."""

    @property
    def troubled(self) -> bool:
        """Whether drift of any kind was seen."""
        return any(finding.drifted for finding in self.findings)


class Episode(_Part):
    """Drift from its confirmation until it is over."""

    window: int
    """The one that confirmed it."""
    since: datetime
    """When its last answer was given."""
    woken: bool = False
    """Whether whoever waits for confirmed drift was woken."""


class State(_Part):
    """All of it; of the model that serves."""

    sequence: int = 0
    """Grows with each state that is written."""
    version: int
    run_id: str
    profile: str
    """Id of the reference profile."""
    ledger: Ledger = Ledger()
    number: int = 0
    """Of the latest window."""
    windows: tuple[JudgedWindow, ...] = ()
    """The latest `KEPT` of this model, in order."""
    snapshots: tuple[JudgedSnapshot, ...] = ()
    """Those that came after the one this model learnt from, in order."""
    episode: Episode | None = None
    measured: MeasuredPerformance | None = None
    """Over all windows above."""
    known: str | None = None
    """Stands for the labels that this was measured with."""
    waiting: int = 0
    """Answers that do not make a window yet."""
    reported: str | None = None
    """What the latest report tells of; see `pipelines.monitoring.report`."""

    @property
    def troubled(self) -> list[bool]:
        """Whether each window is."""
        return [window.troubled for window in self.windows]


def state_of(store: Store, dataset: str) -> State | None:
    """The newest state; ``None`` if nothing was watched yet.

    Raises:
        Unavailable: the store does not answer.
    """
    names = store.names(_folder(dataset))
    if not names:
        return None
    return State.model_validate_json(store.read(f"{_folder(dataset)}/{names[-1]}"))


def keep(store: Store, dataset: str, state: State) -> State:
    """Write the state after this one; the one before it is kept, too.

    Returns:
        The state as it was written.
    """
    written = state.model_copy(update={"sequence": state.sequence + 1})
    folder = _folder(dataset)
    # not pydantic's own JSON: it writes a figure that is no number as null, and refuses it again
    text = json.dumps(written.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"
    store.place(f"{folder}/{written.sequence:08d}.json", text.encode())
    for name in store.names(folder)[:-2]:
        store.delete(f"{folder}/{name}")
    return written


def keep_answers(store: Store, dataset: str, number: int, table: pa.Table) -> None:
    """Write the answers of a window, before the state that names it."""
    buffer = io.BytesIO()
    pq.write_table(table.drop_columns(["features"]), buffer, compression="zstd")
    store.write(_answers(dataset, number), buffer.getvalue())


def answers_of(store: Store, dataset: str, number: int) -> pa.Table:
    """The answers of a window, without their features."""
    return pq.read_table(io.BytesIO(store.read(_answers(dataset, number))))


def _folder(dataset: str) -> str:
    return f"{dataset}/monitoring/state"


def _answers(dataset: str, number: int) -> str:
    return f"{dataset}/monitoring/windows/{number:06d}.parquet"
