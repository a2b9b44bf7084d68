"""Who waits for whom: everything at once that may be, nothing before its turn."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from stack.part import Part


def each_after(
    parts: Sequence[Part],
    before: Callable[[Part], Iterable[str]],
    act: Callable[[Part], None],
    *,
    interrupted: Event,
) -> None:
    """Act on all parts at once, but on each only when those ``before`` it are done.

    Args:
        parts: the parts.
        before: names of the parts that a part has to wait for; those not in ``parts`` are done.
        act: what to do with a part; called in a thread.
        interrupted: set when the user gives up; ``act`` should then end soon.

    Raises:
        Exception: the first that an ``act`` raised, in the order of ``parts``; those that waited
            for it were not acted on.
    """
    done: dict[str, Future[None]] = {part.name: Future() for part in parts}

    def take_turn(part: Part) -> None:
        try:
            for name in before(part):
                if name in done:
                    done[name].result()
            act(part)
        except BaseException as error:
            done[part.name].set_exception(error)
        else:
            done[part.name].set_result(None)

    with ThreadPoolExecutor(max_workers=len(parts)) as threads:
        try:
            list(threads.map(take_turn, parts))
        except BaseException:
            interrupted.set()
            raise
    for outcome in done.values():
        outcome.result()
