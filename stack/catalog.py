"""All parts of the stack, and how a choice among them is made."""

from collections.abc import Iterable, Sequence

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack import hdfs, postgres, queue, scheduler, service, spark, tracking_server, yarn
from stack.part import Part
from stack.watch import part as watch


def all_parts(settings: Settings) -> list[Part]:
    """Every part of this installation, each after those it needs."""
    return [
        postgres.part(settings),
        hdfs.part(settings),
        *_cluster(settings),
        tracking_server.part(settings),
        scheduler.part(settings),
        service.part(settings),
        *([queue.part(settings)] if settings.queue else []),
        watch.part(settings),
    ]


def _cluster(settings: Settings) -> list[Part]:
    """The embedded cluster that Spark works on, where one is wanted."""
    if settings.embedded_spark is None:
        return []
    is_standalone = settings.embedded_spark == "standalone"
    return [spark.part(settings) if is_standalone else yarn.part(settings)]


def choose(parts: Sequence[Part], names: Iterable[str] | None) -> list[Part]:
    """The named parts and those they need, in the order of ``parts``; all if no names are given.

    Raises:
        StackError: a name is no part's.
    """
    if names is None:
        return list(parts)
    known = {part.name: part for part in parts}
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in known:
            raise StackError(f"The stack has no part {name!r}; it has {', '.join(known)}.")
        wanted.add(name)
        pending.extend(known[name].needs)
    return [part for part in parts if part.name in wanted]
