"""Ports for the stack's processes: those asked for, or free ones."""

import random
from collections.abc import Collection, Iterable

from pipelines.errors import StackError
from pipelines.ports import holder, is_free
from stack.part import Process


def require_free(host: str, processes: Iterable[Process], *, ours: Collection[int] = ()) -> None:
    """Check that each process can have its ports.

    Args:
        host: the address they listen on.
        processes: whose ports.
        ours: ports that they hold already.

    Raises:
        StackError: one is taken; the message names the holder and the setting that moves ours.
    """
    for process in processes:
        for port, setting in process.ports:
            if port not in ours and not is_free(host, port):
                raise StackError(
                    f"Port {port}, wanted by {process.name}, is taken by {holder(port)}. "
                    f"End that process, or give {process.name} another port: {setting}=…"
                )


def find_free(host: str, *, offsets: Iterable[int] = (0,)) -> int:
    """A port that is free, as are those at the given offsets from it.

    Below 32768, where no system hands out ports to outgoing connections: what is free now is
    not lost to one of those before a part listens on it.
    """
    while True:
        base = random.randrange(15_000, 32_000)
        if all(is_free(host, base + offset) for offset in offsets):
            return base
