"""Which predictor answers for which data set, at this moment, in this worker and in the others."""

import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ValidationError

from pipelines.atomic import written_whole
from pipelines.release.predictor import Predictor
from serving.context import Problem
from serving.metrics import count_swap, show_champion
from serving.replies import model_info
from serving.schemas import ModelReply, Refusal, WorkerInfo, WorkerModel

logger = logging.getLogger(__name__)

Registry = Literal["following", "unreachable", "failing", "not asked yet", "pinned"]


class Note(BaseModel):
    """One worker's file."""

    parent: int
    """The process that started the worker: the workers of one service share it."""
    born: float
    """When the worker's process began, seconds since 1970: a process id is given out again."""
    worker: WorkerInfo


class WorkerNotes:
    """Notes of the workers of one service; those of dead ones are cleared away.

    Args:
        folder: where the notes lie; several services may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = os.getppid()

    def write(self, worker: WorkerInfo) -> None:
        """Note what this process serves; a full disk is no reason to stop serving."""
        born = psutil.Process(worker.pid).create_time()
        note = Note(parent=self._parent, born=born, worker=worker)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self._folder / f"{worker.pid}.json") as part:
                part.write_text(note.model_dump_json() + "\n", encoding="utf-8")
        except OSError as error:
            logger.warning("Cannot note what this worker serves: %s", error)

    def workers(self) -> list[WorkerInfo]:
        """The living workers of this service, by process id."""
        notes = [note for file in sorted(self._folder.glob("*.json")) if (note := _living(file))]
        ours = [note.worker for note in notes if note.parent == self._parent]
        return sorted(ours, key=lambda worker: worker.pid)


def _living(file: Path) -> Note | None:
    """A worker's note, if its process still runs; the file goes if not."""
    try:
        note = Note.model_validate_json(file.read_bytes())
        process = psutil.Process(note.worker.pid)
        # a killed worker stays a zombie until its supervisor looks, seconds later
        if process.create_time() == note.born and process.status() != psutil.STATUS_ZOMBIE:
            return note
    except (OSError, ValidationError) as error:
        logger.debug("%s is passed over: %s", file, error)
        return None
    except psutil.NoSuchProcess:
        pass
    file.unlink(missing_ok=True)
    return None


class Champions:
    """The served predictors, swapped whole.

    A request takes its predictor once and keeps it, so a swap never touches what is in flight;
    the old one is freed when its last request ends. Reading takes no lock: every change puts a
    new dictionary in place of the old.

    Args:
        registry: how it stands with the registry at first.
        standing: where the other workers of the service say what they serve; `None`: there are
            no others.
    """

    def __init__(
        self, registry: Registry = "not asked yet", *, standing: WorkerNotes | None = None
    ) -> None:
        self._predictors: dict[str, Predictor] = {}
        self._refused: dict[str, Refusal] = {}
        self._notes: dict[str, str] = {}
        self._registry: Registry = registry
        self._detail: str | None = None
        self._changing = threading.Lock()
        self._standing = standing
        self._tell()

    def choose(self, dataset: str | None) -> Predictor:
        """The predictor that answers for a data set; the only one there is for ``None``.

        Raises:
            Problem: nothing serves yet (503), there is no such data set (404), or several are
                served and none was named (400).
        """
        predictors = self._predictors
        served = ", ".join(sorted(predictors))
        if not predictors:
            message = (
                "No champion serves yet. Run medloop retrain DATASET first: its model serves here "
                "as soon as it is promoted. Without images of your own, medloop run trains one "
                "on drawn images."
            )
            raise Problem(503, "no_champion", message)
        if dataset is None:
            if len(predictors) == 1:
                return next(iter(predictors.values()))
            raise Problem(400, "dataset_needed", f"Name the dataset; there are {served}.")
        if dataset not in predictors:
            message = f"dataset={dataset!r} has no champion; there are {served}."
            raise Problem(404, "unknown_dataset", message)
        return predictors[dataset]

    def serving(self) -> list[Predictor]:
        """Every served predictor, by data set."""
        predictors = self._predictors
        return [predictors[name] for name in sorted(predictors)]

    def take(self, predictor: Predictor) -> None:
        """Let a loaded and warmed predictor answer from now on."""
        with self._changing:
            show_champion(predictor, self._predictors.get(predictor.dataset))
            self._predictors = {**self._predictors, predictor.dataset: predictor}
            self._refused = _without(self._refused, predictor.dataset)
            self._tell()
        count_swap(predictor.dataset, predictor.version, outcome="taken")

    def refuse(self, dataset: str, version: int | None, *, reason: str) -> None:
        """Note that a new champion was not taken over, and why; the old one goes on."""
        refusal = Refusal(dataset=dataset, model_version=version, reason=reason, at=_now())
        with self._changing:
            self._refused = {**self._refused, dataset: refusal}
            self._tell()
        count_swap(dataset, version, outcome="refused")

    def note(self, dataset: str, text: str | None) -> None:
        """Note how the registry differs from what serves for a data set; ``None``: it agrees."""
        if self._notes.get(dataset) != text:
            others = {name: note for name, note in self._notes.items() if name != dataset}
            self._notes = others if text is None else {**others, dataset: text}

    def version_of(self, dataset: str) -> int | None:
        """The version that serves a data set, if one does."""
        predictor = self._predictors.get(dataset)
        return predictor.version if predictor else None

    def standing_with(self, registry: Registry, *, detail: str | None = None) -> None:
        """Note whether the registry can be reached."""
        self._registry, self._detail = registry, detail

    def report(self) -> ModelReply:
        """What this process serves and how it stands with the registry."""
        return ModelReply(
            models=[
                model_info(predictor, registry_note=self._notes.get(predictor.dataset))
                for predictor in self.serving()
            ],
            refused=self._refusals(),
            registry=self._registry,
            registry_detail=self._detail,
            pid=os.getpid(),
            workers=self._standing.workers() if self._standing else [self._worker()],
        )

    def _tell(self) -> None:
        """Let the other workers know."""
        if self._standing:
            self._standing.write(self._worker())

    def _worker(self) -> WorkerInfo:
        models = [
            WorkerModel(dataset=p.dataset, model_version=p.version, loaded_at=p.loaded_at)
            for p in self.serving()
        ]
        return WorkerInfo(pid=os.getpid(), models=models, refused=self._refusals())

    def _refusals(self) -> list[Refusal]:
        refused = self._refused
        return [refused[name] for name in sorted(refused)]


def _without(refused: dict[str, Refusal], dataset: str) -> dict[str, Refusal]:
    return {name: refusal for name, refusal in refused.items() if name != dataset}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
