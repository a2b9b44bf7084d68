"""Up, down, restart: each part once those it needs are ready, each stopped before them."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from rich.console import Console

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack.catalog import all_parts, choose
from stack.part import Part, Process
from stack.ports import require_free
from stack.progress import PartProgress
from stack.supervision import Supervisor

POLL_SECONDS = 0.2
LOG_LINES = 15
MOST_STARTS = 5
"""How often a process may be started while it is waited for."""


def up(
    settings: Settings, parts: Iterable[str] | None = None, *, console: Console | None = None
) -> None:
    """Start what does not run yet, and wait until all of it is ready.

    Args:
        settings: the installation.
        parts: names of the parts wanted; those they need come too. All if ``None``.
        console: where progress is shown; standard error if ``None``.

    Raises:
        StackError: a port is taken, or a part does not become ready; the message says which, why
            as far as its log tells, and what to do.
    """
    every = all_parts(settings)
    chosen = choose(every, parts)
    supervisor = _supervisor(settings, every)
    with _one_at_a_time(settings):
        if not supervisor.answers():
            supervisor.end_left_behind()
        require_free(settings.host, _processes(chosen), ours=supervisor.listens_on())
        stopped = supervisor.ensure()
        again = [part for part in every if any(p.name in stopped for p in part.processes)]
        with _progress(console) as progress:
            _each_after(
                [part for part in every if part in chosen or part in again],
                lambda part: part.needs,
                lambda part: _bring_up(part, supervisor, progress),
            )


def down(settings: Settings, *, console: Console | None = None) -> None:
    """Stop every part, those that need others first, and leave no process behind."""
    every = all_parts(settings)
    supervisor = _supervisor(settings, every)
    needed_by = {part.name: [p.name for p in every if part.name in p.needs] for part in every}
    with _one_at_a_time(settings):
        family = supervisor.family()
        if supervisor.answers():
            with _progress(console) as progress:
                _each_after(
                    every,
                    lambda part: needed_by[part.name],
                    lambda part: _bring_down(part, supervisor, progress),
                )
            supervisor.shut_down()
        supervisor.end_left_behind(family)


def restart(settings: Settings, part: str, *, console: Console | None = None) -> None:
    """Stop one part and start it again, and wait until it is ready.

    Raises:
        StackError: there is no such part, or it does not become ready.
    """
    every = all_parts(settings)
    choose(every, [part])
    supervisor = _supervisor(settings, every)
    if supervisor.answers():
        with _one_at_a_time(settings), _progress(console) as progress:
            _bring_down(next(p for p in every if p.name == part), supervisor, progress)
    up(settings, [part], console=console)


def _supervisor(settings: Settings, parts: Sequence[Part]) -> Supervisor:
    return Supervisor(settings, _processes(parts))


def _processes(parts: Iterable[Part]) -> list[Process]:
    return [process for part in parts for process in part.processes]


def _progress(console: Console | None) -> PartProgress:
    return PartProgress(console or Console(stderr=True))


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Hold off a second ``up`` or ``down`` of the same installation until this one is done."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _each_after(
    parts: Sequence[Part], before: Callable[[Part], Iterable[str]], act: Callable[[Part], None]
) -> None:
    """Act on all parts at once, but on each only when those ``before`` it are done."""
    with ThreadPoolExecutor(max_workers=len(parts)) as threads:
        done: dict[str, Future[None]] = {}

        def take_turn(part: Part) -> None:
            for name in before(part):
                if name in names:
                    done[name].result()
            act(part)

        names = {part.name for part in parts}
        for part in parts:
            done[part.name] = Future()
        runs = {
            part.name: threads.submit(_settle, done[part.name], take_turn, part) for part in parts
        }
        for run in runs.values():
            run.result()
    for outcome in done.values():
        outcome.result()


def _settle(outcome: Future[None], act: Callable[[Part], None], part: Part) -> None:
    try:
        act(part)
    except BaseException as error:
        outcome.set_exception(error)
    else:
        outcome.set_result(None)


def _bring_up(part: Part, supervisor: Supervisor, progress: PartProgress) -> None:
    def say(doing: str) -> None:
        progress.say(part.name, doing)

    say("starting")
    infos = supervisor.infos()
    if not all(infos[process.name].alive for process in part.processes):
        part.prepare(say)
    for process in part.processes:
        supervisor.start(process.name)
    deadline = time.monotonic() + part.patience
    for process in part.processes:
        _await(process, supervisor, say, deadline=deadline)
    progress.done(part.name, f"ready {next((p.url for p in part.processes if p.url), '')}".strip())


def _await(
    process: Process, supervisor: Supervisor, say: Callable[[str], None], *, deadline: float
) -> None:
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
        time.sleep(POLL_SECONDS)


def _post_mortem(process: Process, supervisor: Supervisor, what: str) -> str:
    log = supervisor.log(process.name)
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    end = "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
    return f"{process.name} {what}. The end of its log, {log}:\n{end}"


def _bring_down(part: Part, supervisor: Supervisor, progress: PartProgress) -> None:
    infos = supervisor.infos()
    running = [p for p in part.processes if p.name in infos and infos[p.name].alive]
    if not running:
        return
    progress.say(part.name, "stopping")
    with ThreadPoolExecutor(max_workers=len(running)) as threads:
        list(threads.map(lambda process: supervisor.stop(process.name), running))
    progress.done(part.name, "stopped")
