"""Servers as processes of their own: started, waited for, weighed, ended."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.wire import Connection, Refused, request
from pipelines import isolation

START_SECONDS = 180
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Server:
    """A server that takes requests."""

    port: int
    process: psutil.Process
    ready_seconds: float
    """From its start until it answered."""

    def family(self) -> list[psutil.Process]:
        """The process and all it started."""
        return [self.process, *self.process.children(recursive=True)]

    def memory(self) -> dict[int, float]:
        """Process id → proportional set size in MB: shared pages count by their share."""
        return {p.pid: p.memory_full_info().pss / MEGABYTE for p in self.family()}

    def private_memory(self) -> float:
        """Memory in MB that no other process shares, of the process that takes most of it: what
        one more worker costs."""
        return float(max(p.memory_full_info().uss for p in self.family()) / MEGABYTE)

    def processor_seconds(self) -> float:
        """Processor time of the whole family until now."""
        return sum(sum(p.cpu_times()[:2]) for p in self.family())


@contextmanager
def serving(bundle: Path, *arguments: str, **settings: object) -> Iterator[Server]:
    """The real service with a bundle, on loopback, with a home of its own."""
    with tempfile.TemporaryDirectory(prefix="medloop-") as home:
        environment = isolation.settings_environment({"home": home} | settings)
        command = [sys.executable, "-m", "serving", "--bundle", str(bundle), *arguments]
        with running(command, "/readyz", **environment) as server:
            yield server


@contextmanager
def running(command: list[str], ready: str, **environment: str) -> Iterator[Server]:
    """Start ``command --port PORT``, wait until ``ready`` is answered with 200, end it."""
    port = free_port()
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**isolation.isolated_environment(), "PATH": _path(), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not _answers(port, ready):
                if process.poll() is not None or time.monotonic() - began > START_SECONDS:
                    log.seek(0)
                    raise SystemExit(f"{command} did not start:\n{log.read()[-3000:].decode()}")
                time.sleep(0.02)
            yield Server(port, psutil.Process(process.pid), time.monotonic() - began)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # with all it started
            process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _path() -> str:
    """The search path, with this environment's commands first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def _answers(port: int, path: str) -> bool:
    try:
        with Connection(port) as connection:
            connection.ask(request(path))
    except (OSError, Refused):
        return False
    return True
