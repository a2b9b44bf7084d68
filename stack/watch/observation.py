"""What the watch sees in one look around the native stack; in containers, `stack.container`."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipelines.locks import locked_if_free
from pipelines.settings import Settings
from stack.catalog import all_parts
from stack.part import Part, Process
from stack.room import Room, rooms
from stack.status import State, judge
from stack.supervision import ProcessInfo, Supervisor


@dataclass(frozen=True)
class Standing:
    """How one process stands."""

    part: str
    process: str
    state: State
    detail: str | None
    restarts: int


@dataclass(frozen=True)
class Observation:
    """How everything stands at one moment."""

    at: float
    """Seconds since the epoch."""
    supervised: bool
    """Whether supervisord is there to start what ends."""
    changing: bool
    """Whether somebody is starting or stopping parts on purpose, so that little can be told."""
    standings: tuple[Standing, ...]
    rooms: tuple[Room, ...]


def observe(settings: Settings) -> Observation:
    """Ask every part, all at once; takes a few seconds where one does not answer."""
    # The watch itself is not asked: that it looks is answer enough.
    parts = [part for part in all_parts(settings) if part.name != "watch"]
    supervisor = Supervisor(settings, [process for part in parts for process in part.processes])
    infos = supervisor.infos()
    standings = _standings(settings, supervisor, parts, infos)
    return Observation(
        at=time.time(),
        supervised=bool(infos),
        # Asked last: what began while the parts were asked may have upset their answers.
        changing=_is_changing(settings),
        standings=standings,
        rooms=tuple(rooms(settings)),
    )


def _standings(
    settings: Settings,
    supervisor: Supervisor,
    parts: Sequence[Part],
    infos: Mapping[str, ProcessInfo],
) -> tuple[Standing, ...]:
    restarts = supervisor.restarts() if infos else Counter[str]()
    pairs = [(part, process) for part in parts for process in part.processes]

    def one(pair: tuple[Part, Process]) -> Standing:
        part, process = pair
        state, detail = judge(settings, supervisor, process, infos.get(process.name))
        return Standing(part.name, process.name, state, detail, restarts[process.name])

    with ThreadPoolExecutor(max_workers=len(pairs)) as threads:
        return tuple(threads.map(one, pairs))


def _is_changing(settings: Settings) -> bool:
    """Whether ``up``, ``down`` or ``restart`` holds the lock that only one of them may."""
    with locked_if_free(settings.home / "stack.lock", shared=True) as is_held:
        return not is_held
