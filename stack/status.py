"""How the stack stands: each process, and the room that is left for what they keep."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import psutil

from pipelines.ports import holder, is_free
from pipelines.settings import Settings
from stack.catalog import all_parts
from stack.part import Process
from stack.readiness import obstacle_of
from stack.supervision import ProcessInfo, Supervisor

State = Literal["ready", "starting", "stopped", "failed"]


@dataclass(frozen=True)
class PartStatus:
    """One process of the stack."""

    name: str
    state: State
    pid: int | None
    port: int | None
    """The first of its ports."""
    url: str | None
    detail: str | None
    """What it waits for, why it is not there, or nothing."""
    version: str
    """The release that it runs."""
    ports: tuple[int, ...]
    memory: int | None
    """Bytes that it and its helpers hold; what they share is counted once."""
    up_seconds: int | None
    """Since it was started last."""
    restarts: int
    """How often it ended by itself, and was started again, since supervisord was started."""


def status(settings: Settings) -> list[PartStatus]:
    """How every process stands, in the order of starting; each is asked, all at once."""
    processes = [process for part in all_parts(settings) for process in part.processes]
    supervisor = Supervisor(settings, processes)
    infos = supervisor.infos()
    restarts = supervisor.restarts() if infos else {}

    def one(process: Process) -> PartStatus:
        info = infos.get(process.name)
        state, detail = judge(settings, supervisor, process, info)
        runs = info is not None and info.pid is not None
        return PartStatus(
            name=process.name,
            state=state,
            pid=info.pid if info else None,
            port=process.ports[0].number if process.ports else None,
            url=process.url,
            detail=detail,
            version=process.version(),
            ports=tuple(port.number for port in process.ports),
            memory=_memory(info.pid) if info and info.pid else None,
            up_seconds=max(0, int(time.time()) - info.started) if info and runs else None,
            restarts=restarts.get(process.name, 0),
        )

    with ThreadPoolExecutor(max_workers=len(processes)) as threads:
        return list(threads.map(one, processes))


def judge(
    settings: Settings, supervisor: Supervisor, process: Process, info: ProcessInfo | None
) -> tuple[State, str | None]:
    """How one process stands, and what it waits for or why it is not there; it is asked."""
    if info is None or info.state == "STOPPED":
        taken = [p.number for p in process.ports if not is_free(settings.host, p.number)]
        return "stopped", f"port {taken[0]} is taken by {holder(taken[0])}" if taken else None
    if info.state in ("BACKOFF", "FATAL", "EXITED", "UNKNOWN"):
        return "failed", f"see {supervisor.log(process.name)}"
    obstacle = obstacle_of(process, info)
    return ("starting", obstacle) if obstacle else ("ready", None)


def _memory(pid: int) -> int | None:
    """Bytes of a process and all below it; ``None`` where this user may not see them."""
    held = None
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            # A helper may end, or belong to another user (PostgreSQL's, where root started it).
            with suppress(psutil.Error):
                held = (held or 0) + _own_share(member)
    return held


def _own_share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):
        return int(process.memory_info().rss)
