"""The real BentoML server, as its own process."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

import serving.__main__ as run_service
from pipelines.errors import StackError
from tests.serving.bundles import CLASSES, jpeg, png
from tests.serving.running import free_port, start, stop, wait_until_ready


@pytest.fixture(scope="module")
def own(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Own"]:
    """A service that tests may end; each starts it again if it does not run."""
    own = Own(bundle, tmp_path_factory.mktemp("own"))
    yield own
    own.stop()


class Own:
    """A service of these tests' own."""

    def __init__(self, bundle: Path, home: Path) -> None:
        port = str(free_port())
        self._arguments = ("--port", port, "--bundle", str(bundle))
        self._home = home
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> subprocess.Popen[bytes]:
        """Start it unless it runs, and wait until it is ready."""
        if self.process is None or self.process.poll() is not None:
            self.process = start(self._home, *self._arguments)
        with httpx.Client(base_url=self.url, trust_env=False) as http:
            wait_until_ready(http, self.process, self._home)
        return self.process

    def stop(self) -> None:
        """Stop it if it runs."""
        if self.process:
            stop(self.process)


def test_it_answers_every_route(http: httpx.Client) -> None:
    files = {"image": ("a.png", png())}
    assert http.post("/predict", files=files).json()["class"] in CLASSES
    assert http.post("/predict/batch", files=files).json()["results"][0]["prediction"]
    assert http.post("/gradcam", files=files).content.startswith(b"\x89PNG")
    assert http.post("/explain", files=files).json()["overlay"].startswith("data:image/png")
    assert http.get("/classes").json()["datasets"][0]["dataset"] == "phantom"
    assert http.get("/model").json()["registry"] == "pinned"
    for path in ("/livez", "/readyz", "/", "/docs", "/static_content/swagger-ui.css"):
        assert http.get(path).status_code == 200, path
    assert "/predict" in http.get("/docs.json").json()["paths"]


def test_its_metrics_hold_what_was_counted(http: httpx.Client) -> None:
    http.post("/predict", files={"image": png()})
    http.post("/predict", files={"image": b"no"})
    text = http.get("/metrics").text
    assert 'medloop_predictions_total{dataset="phantom"' in text
    assert 'medloop_refused_total{code="unknown_format"}' in text
    assert 'medloop_swaps_total{dataset="phantom",model_version="1",outcome="taken"} 1.0' in text


def test_a_scan_of_paths_leaves_nothing_in_the_metrics(http: httpx.Client) -> None:
    for number in range(20):
        assert http.get(f"/no-such-path-{number}").status_code == 404
    text = http.get("/metrics").text
    assert "no-such-path" not in text
    assert 'medloop_requests_total{outcome="refused",route="other"}' in text


def test_an_endless_chunked_body_is_cut_off(http: httpx.Client) -> None:
    request = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"100000\r\n" + b"\xff" * 0x100000 + b"\r\n"
    url = http.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        connection.sendall(request)
        sent = 0
        try:
            while sent < 200:
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass
    assert 60 <= sent < 200
    assert http.post("/predict", files={"image": png()}).status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: nonsense\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_broken_http_does_no_harm(http: httpx.Client, garbage: bytes) -> None:
    url = http.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=5) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        reply = connection.recv(4096)
    assert not reply.startswith(b"HTTP/1.1 5"), reply
    assert http.post("/predict", files={"image": png()}).status_code == 200


def test_a_taken_port_is_named_with_its_holder(bundle: Path, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process = start(tmp_path, "--port", str(port), "--bundle", str(bundle))
        assert process.wait(60) == 1
    log = (tmp_path / "service.log").read_text("utf-8")
    assert f"Port {port} is taken" in log
    assert f"(pid {os.getpid()})" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("change", "said"),
    [("bundle.json", "there is no bundle.json"), ("model.bin", "model.bin is missing")],
)
def test_a_broken_pinned_bundle_ends_it_with_the_reason(
    change: str, said: str, bundle: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / change).unlink()
    process = start(tmp_path, "--port", str(free_port()), "--bundle", str(broken))
    assert process.wait(60) == 1
    log = (tmp_path / "service.log").read_text("utf-8")
    assert "error: " in log
    assert said in log
    assert "Traceback" not in log


def test_a_bundle_check_that_is_killed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_service, "_open_bundle", lambda *_: os._exit(9))
    check = run_service.BundleCheck(argparse.Namespace(), tmp_path)
    with pytest.raises(StackError, match="ended before it was done"):
        check.wait()


def test_the_supervisor_of_a_pinned_bundle_loads_no_inference(own: Own) -> None:
    supervisor = psutil.Process(own.run().pid)
    assert not [m.path for m in supervisor.memory_maps() if "openvino" in m.path]


def test_an_unusable_setting_ends_it_with_the_reason(tmp_path: Path) -> None:
    process = start(tmp_path, "--port", str(free_port()), store="ftp://nowhere")
    assert process.wait(60) == 1
    log = (tmp_path / "service.log").read_text("utf-8")
    assert "MEDLOOP_STORE='ftp://nowhere'" in log
    assert "Traceback" not in log


def test_it_is_ready_after_seconds_of_work(own: Own) -> None:
    service = psutil.Process(own.run().pid)
    worked = [p.cpu_times() for p in (service, *service.children(recursive=True))]
    # processor time, which other work on the machine does not stretch as it does the clock
    assert sum(times.user + times.system for times in worked) < 10


def test_killed_without_mercy_it_leaves_nothing_behind(own: Own) -> None:
    process = own.run()
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert not alive
    own.run()
    reply = httpx.post(f"{own.url}/predict", files={"image": png()}, trust_env=False)
    assert reply.status_code == 200


def test_told_to_stop_it_finishes_what_it_has(own: Own) -> None:
    own.run()
    large = [("image", jpeg(seed, width=2000, height=1900)) for seed in range(24)]
    with (
        httpx.Client(base_url=own.url, timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(1) as asking,
    ):
        answer = asking.submit(http.post, "/predict/batch", files=large)
        time.sleep(0.3)
        assert not answer.done()
        own.stop()
        assert len(answer.result().json()["results"]) == len(large)


def test_its_help_teaches() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "serving", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in ("--bundle", "--runtime", "--workers", "--port"):
        assert option in answer.stdout
