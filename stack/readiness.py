"""Waiting for a process: it is asked until it is ready, never slept for."""

import time
from threading import Event

from pipelines.errors import StackError
from stack.part import Process, Say
from stack.supervision import Supervisor

POLL_SECONDS = 0.2
LOG_LINES = 15
MOST_STARTS = 5
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
        obstacle = process.obstacle(info.started)
        if obstacle is None:
            return
        if time.monotonic() > deadline:
            raise StackError(_post_mortem(process, supervisor, f"is not ready: {obstacle}"))
        say(f"waiting for {process.name}: {obstacle}")
        if interrupted.wait(POLL_SECONDS):
            raise StackError(f"Interrupted while waiting for {process.name}; it goes on starting.")


def _post_mortem(process: Process, supervisor: Supervisor, what: str) -> str:
    log = supervisor.log(process.name)
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    end = "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
    return f"{process.name} {what}. The end of its log, {log}:\n{end}"
