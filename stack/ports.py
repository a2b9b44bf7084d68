"""Who holds a port, and which ports are free."""

import errno
import random
import socket
from collections.abc import Collection, Iterable

import psutil

from pipelines.errors import StackError
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


def is_free(host: str, port: int) -> bool:
    """Whether a process could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"Cannot listen on {host} port {port}: {error.strerror}.") from error
    return True


def holder(port: int) -> str:
    """The process that listens on a port, as ``java (pid 123)``."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "a process that this user may not see"
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        if listens and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "a process that this user may not see"


def find_free(host: str, *, offsets: Iterable[int] = (0,)) -> int:
    """A port that is free, as are those at the given offsets from it.

    Below 32768, where no system hands out ports to outgoing connections: what is free now is
    not lost to one of those before a part listens on it.
    """
    while True:
        base = random.randrange(15_000, 32_000)
        if all(is_free(host, base + offset) for offset in offsets):
            return base
