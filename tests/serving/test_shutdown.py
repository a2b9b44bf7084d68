"""Told to stop under load, the service answers what it was asked and then ends well."""

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.serving.bundles import jpeg
from tests.serving.running import free_port, start, wait_until_ready

CLIENTS = 12
IMAGE = jpeg(1, width=1500, height=1500)
BOUND = 15.0
"""Seconds from the signal to the end."""
CONNECTED = 0.5
"""Seconds after which a request that was begun has reached a worker, busy as the machine may be;
one that still waits with the kernel when the signal comes is reset."""


@dataclass(frozen=True)
class Asked:
    """One request on a connection of its own."""

    began: float
    status: int
    """0: no answer came."""
    seconds: float


def test_stopped_under_load_all_workers_answer_what_they_were_asked(
    bundle: Path, tmp_path: Path
) -> None:
    port = free_port()
    arguments = ("--port", str(port), "--bundle", str(bundle), "--workers", "2")
    process = start(tmp_path, *arguments)
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, trust_env=False) as http:
        wait_until_ready(http, process, tmp_path)
    ended = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as threads:
        asking = [threads.submit(_ask_until, ended, url) for _ in range(CLIENTS)]
        time.sleep(1.0 + CONNECTED)
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(BOUND + 15)
        seconds = time.monotonic() - told
        ended.set()
        asked = [one for client in asking for one in client.result()]
    before = [one.status for one in asked if one.began < told - CONNECTED]
    assert len(before) > CLIENTS
    assert set(before) == {200}
    assert (code, seconds < BOUND) == (0, True)
    # one that was accepted just then is answered too; later ones wait with the kernel until the
    # end, and are reset
    assert {one.status for one in asked} == {200, 0}
    assert all(one.seconds < BOUND for one in asked)


def test_clients_that_hang_do_not_keep_it_from_ending(bundle: Path, tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--port", str(port), "--bundle", str(bundle))
    # such a client may hang for longer than the bound, unless the service is to stop
    hang = {"service_header_seconds": 120, "service_read_seconds": 120}
    process = start(tmp_path, *arguments, service_stop_seconds=2, **hang)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        wait_until_ready(http, process, tmp_path)
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
    with (
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)) as in_header,
        socket.create_connection(("127.0.0.1", port)) as in_body,
    ):
        in_header.sendall(head)
        in_body.sendall(head + b"Content-Length: 1000\r\n\r\nsome of it")
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND) == 0


def _ask_until(ended: threading.Event, url: str) -> list[Asked]:
    asked = []
    while not ended.is_set():
        began = time.monotonic()
        try:
            reply = httpx.post(
                f"{url}/predict", files={"image": IMAGE}, timeout=30, trust_env=False, verify=False
            )
            asked.append(Asked(began, reply.status_code, time.monotonic() - began))
        except httpx.TransportError:
            asked.append(Asked(began, 0, time.monotonic() - began))
            time.sleep(0.05)
    return asked
