"""Runs the real service as its own process, on a port of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from pipelines.settings import PROJECT

START_SECONDS = 180
BENTOML = str(Path(sys.executable).with_name("bentoml"))


@contextmanager
def running_service(home: Path, *arguments: str, **settings: object) -> Iterator[httpx.Client]:
    """Start ``python -m serving``, wait until it is ready, and stop it afterwards.

    Args:
        home: its ``MEDLOOP_HOME``; its output goes to ``service.log`` there.
        arguments: further command line arguments.
        settings: further settings, as ``mlflow_uri="http://…"`` for ``MEDLOOP_MLFLOW_URI``.

    Yields:
        A client that keeps its connection.
    """
    port = free_port()
    process = start(home, "--port", str(port), *arguments, **settings)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            wait_until_ready(http, process, home)
            yield http
    finally:
        stop(process)


@contextmanager
def served_by_bentoml(home: Path, *arguments: str) -> Iterator[httpx.Client]:
    """The same by ``bentoml serve``, on loopback, in the folder of ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [BENTOML, "serve", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=of_bentoml(home), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            wait_until_ready(http, process, home)
            yield http
    finally:
        stop(process)


def of_bentoml(home: Path) -> dict[str, str]:
    """The environment of BentoML's command, its own state below ``home``."""
    own = {
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "MEDLOOP_HOME": str(home),
        "MEDLOOP_STORE": (home / "store").as_uri(),
    }
    return {**os.environ, **own}


def start(home: Path, *arguments: str, **settings: object) -> subprocess.Popen[bytes]:
    """Start the service and return at once."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "MEDLOOP_HOME": str(home),
        "MEDLOOP_CHAMPION_POLL_SECONDS": "0.5",
        "MEDLOOP_STORE": (home / "store").as_uri(),
        **{f"MEDLOOP_{name.upper()}": str(value) for name, value in settings.items()},
    }
    with (home / "service.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "serving", "--threads", "1", *arguments],
            cwd=PROJECT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it as a supervisor does."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(http: httpx.Client, process: subprocess.Popen[bytes], home: Path) -> None:
    """Ask ``/readyz`` until it says yes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if http.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    log = (home / "service.log").read_text("utf-8")
    raise AssertionError(f"the service did not become ready:\n{log[-3000:]}")


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
