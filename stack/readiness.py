"""Waiting for a process: it is asked until it is ready, never slept for."""

import time
from threading import Event

from pipelines.errors import StackError
from stack import launch
from stack.part import Process, Say
from stack.supervision import ProcessInfo, Supervisor

POLL_SECONDS = 0.2
LOG_LINES = 15
MOST_STARTS = 3
"""How often a process may be started while it is waited for."""


def await_ready(
    process: Process, supervisor: Supervisor, say: Say, *, seconds: float, interrupted: Event
) -> None:
    """Wait until a process that was started is ready.

    Raises:
        StackError: it is not within ``seconds``, or it ends again and again; the message has the
            end of its log.
    """
    deadline = time.monotonic() + seconds
    starts = set()
    while True:
        info = supervisor.info(process.name)
        starts.add(info.started)
        if not info.alive or len(starts) > MOST_STARTS:
            raise StackError(_post_mortem(process, supervisor, "starts and ends again"))
        obstacle = obstacle_of(process, info)
        if obstacle is None:
            return
        if time.monotonic() > deadline:
            raise StackError(_post_mortem(process, supervisor, f"is not ready: {obstacle}"))
        say(f"waiting for {process.name}: {obstacle}")
        if interrupted.wait(POLL_SECONDS):
            raise StackError(f"Interrupted while waiting for {process.name}; it goes on starting.")


def obstacle_of(process: Process, info: ProcessInfo) -> str | None:
    """What keeps a process from being ready; ``None`` when it is.

    Asked only once it runs under its own name: what a killed predecessor left behind answers in
    its place for a moment.
    """
    if info.pid is None or launch.is_under_way(info.pid):
        return "it is about to start"
    return process.obstacle(info.started)


def _post_mortem(process: Process, supervisor: Supervisor, what: str) -> str:
    log = supervisor.log(process.name)
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    end = "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
    return f"{process.name} {what}. The end of its log, {log}:\n{end}"
