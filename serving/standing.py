"""What each worker process serves, on a small file each, so that any of them can tell for all."""

import logging
import os
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from pipelines.atomic import written_whole
from serving.schemas import WorkerInfo

logger = logging.getLogger(__name__)


class Note(BaseModel):
    """One worker's file."""

    parent: int
    """The process that started the worker: the workers of one service share it."""
    born: float
    """When the worker's process began, seconds since 1970: a process id is given out again."""
    worker: WorkerInfo


class Standing:
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
