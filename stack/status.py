"""How each process of the stack stands."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

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
    url: str | None
    detail: str | None
    """What it waits for, why it is not there, or nothing."""


def status(settings: Settings) -> list[PartStatus]:
    """How every process stands, in the order of starting; each is asked, all at once."""
    processes = [process for part in all_parts(settings) for process in part.processes]
    supervisor = Supervisor(settings, processes)
    infos = supervisor.infos()

    def one(process: Process) -> PartStatus:
        state, detail = _judge(settings, supervisor, process, infos.get(process.name))
        info = infos.get(process.name)
        return PartStatus(
            name=process.name,
            state=state,
            pid=info.pid if info else None,
            port=process.ports[0].number if process.ports else None,
            url=process.url,
            detail=detail,
        )

    with ThreadPoolExecutor(max_workers=len(processes)) as threads:
        return list(threads.map(one, processes))


def _judge(
    settings: Settings, supervisor: Supervisor, process: Process, info: ProcessInfo | None
) -> tuple[State, str | None]:
    if info is None or info.state == "STOPPED":
        taken = [p.number for p in process.ports if not is_free(settings.host, p.number)]
        return "stopped", f"port {taken[0]} is taken by {holder(taken[0])}" if taken else None
    if info.state in ("BACKOFF", "FATAL", "EXITED", "UNKNOWN"):
        return "failed", f"see {supervisor.log(process.name)}"
    obstacle = obstacle_of(process, info)
    return ("starting", obstacle) if obstacle else ("ready", None)
