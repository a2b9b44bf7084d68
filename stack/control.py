"""Up, down, restart: each part once those it needs are ready, each stopped before them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Event

from rich.console import Console

from pipelines import layout
from pipelines.locks import locked
from pipelines.settings import Settings
from pipelines.storage.local import LocalStore
from stack.catalog import all_parts, choose
from stack.order import each_after
from stack.part import Part, Process
from stack.ports import require_free
from stack.progress import PartProgress
from stack.readiness import await_ready
from stack.supervision import Supervisor


def up(
    settings: Settings, parts: Iterable[str] | None = None, *, console: Console | None = None
) -> None:
    """Start what does not run yet, and wait until all of it is ready.

    A part whose settings have changed since it was started is started again.

    Args:
        settings: the installation.
        parts: names of the parts wanted; those they need come too. All if ``None``.
        console: where progress is shown; standard error if ``None``.

    Raises:
        LayoutError: a newer Medloop has written the home.
        StackError: a port is taken, or a part does not become ready; the message says which, why
            as far as its log tells, and what to do.
    """
    every = all_parts(settings)
    chosen = choose(every, parts)
    supervisor = _supervisor(settings, every)
    with _one_at_a_time(settings):
        layout.HOME.require(LocalStore(settings.home))
        if not supervisor.answers():
            supervisor.end_left_behind()
        require_free(settings.host, _processes(chosen), ours=supervisor.listens_on())
        stopped = supervisor.ensure()
        again = [part for part in every if any(p.name in stopped for p in part.processes)]
        wanted = [part for part in every if part in chosen or part in again]
        _bring_all_up(wanted, supervisor, console)


def revive(settings: Settings, *, console: Console | None = None) -> list[str]:
    """Start supervisord again after it was killed, and anew what it has left running.

    A process goes on with its work until its successor is about to start, so that what nobody
    waits for (the service) is away only while it starts itself.

    Returns:
        The names of the parts that were started anew; none where supervisord runs.

    Raises:
        StackError: a part does not become ready.
    """
    every = all_parts(settings)
    supervisor = _supervisor(settings, every)
    with _one_at_a_time(settings):
        left = [] if supervisor.answers() else supervisor.left_behind()
        parts = choose(every, [p.name for p in every if any(x.name in left for x in p.processes)])
        if parts:
            supervisor.end_database()
            supervisor.ensure()
            _bring_all_up(parts, supervisor, console, before=_the_service_first)
    return [part.name for part in parts]


def down(settings: Settings, *, console: Console | None = None) -> None:
    """Stop every part, those that need others first, and leave no process behind."""
    every = all_parts(settings)
    supervisor = _supervisor(settings, every)
    needed_by = {part.name: [p.name for p in every if part.name in p.needs] for part in every}
    with _one_at_a_time(settings):
        family = supervisor.family()
        if supervisor.answers():
            with _progress(console) as progress:
                each_after(
                    every,
                    lambda part: needed_by[part.name],
                    lambda part: _bring_down(part, supervisor, progress),
                    interrupted=Event(),
                )
            supervisor.shut_down()
        supervisor.end_left_behind(family)


def restart(settings: Settings, part: str, *, console: Console | None = None) -> None:
    """Stop one part and start it again, and wait until it is ready.

    Raises:
        StackError: there is no such part, or it does not become ready.
    """
    every = all_parts(settings)
    (*_, wanted) = choose(every, [part])
    supervisor = _supervisor(settings, every)
    if supervisor.answers():
        with _one_at_a_time(settings), _progress(console) as progress:
            _bring_down(wanted, supervisor, progress)
    up(settings, [part], console=console)


def _supervisor(settings: Settings, parts: Sequence[Part]) -> Supervisor:
    return Supervisor(settings, _processes(parts))


def _processes(parts: Iterable[Part]) -> list[Process]:
    return [process for part in parts for process in part.processes]


def _progress(console: Console | None) -> PartProgress:
    return PartProgress(console or Console(stderr=True))


def _one_at_a_time(settings: Settings) -> AbstractContextManager[None]:
    """Hold off a second ``up`` or ``down`` of the same installation until this one is done."""
    return locked(settings.home / "stack.lock")


def _the_service_first(part: Part) -> list[str]:
    """What is waited for by people comes back before what only programs wait for."""
    return [*part.needs, *({"service"} - {part.name})]


def _bring_all_up(
    parts: Sequence[Part],
    supervisor: Supervisor,
    console: Console | None,
    *,
    before: Callable[[Part], Iterable[str]] = lambda part: part.needs,
) -> None:
    interrupted = Event()
    with _progress(console) as progress:
        each_after(
            parts,
            before,
            lambda part: _bring_up(part, supervisor, progress, interrupted=interrupted),
            interrupted=interrupted,
        )


def _bring_up(
    part: Part, supervisor: Supervisor, progress: PartProgress, *, interrupted: Event
) -> None:
    def say(doing: str) -> None:
        progress.say(part.name, doing)

    say("starting")
    infos = supervisor.infos()
    if not all(infos[process.name].alive for process in part.processes):
        part.prepare(say)

    def wait(process: Process) -> None:
        await_ready(process, supervisor, say, seconds=part.patience, interrupted=interrupted)

    by_name = {process.name: process for process in part.processes}
    for process in sorted(part.processes, key=lambda process: process.after is not None):
        if process.after is not None:
            wait(by_name[process.after])
        supervisor.start(process.name)
    for process in part.processes:
        wait(process)
    progress.done(part.name, f"ready {next((p.url for p in part.processes if p.url), '')}".strip())


def _bring_down(part: Part, supervisor: Supervisor, progress: PartProgress) -> None:
    infos = supervisor.infos()
    running = [p for p in part.processes if p.name in infos and infos[p.name].alive]
    if not running:
        return
    progress.say(part.name, "stopping")
    with ThreadPoolExecutor(max_workers=len(running)) as threads:
        list(threads.map(lambda process: supervisor.stop(process.name), running))
    progress.done(part.name, "stopped")
