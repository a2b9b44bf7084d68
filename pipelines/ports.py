"""Whether a port is free, and who holds it: said in the same words by the stack and the service."""

import errno
import socket

import psutil

from pipelines.errors import StackError


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
