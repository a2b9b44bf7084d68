"""Two replicas behind the example's load balancer are one service that outlives either."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serving.balancing import balanced
from tests.serving.bundles import make_bundle, png
from tests.serving.running import free_port, start, stop, wait_until_ready

IMAGES = {"image": ("a.png", png(), "image/png")}


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Replicas"]:
    """Two services with the same bundle, and nginx in front."""
    folder = tmp_path_factory.mktemp("replicas")
    made = Replicas(folder, make_bundle(folder / "bundle"))
    with balanced(folder / "nginx", made.ports) as http:
        made.http = http
        yield made
    made.stop()


class Replicas:
    """Two services, each of which can be killed and started again."""

    http: httpx.Client

    def __init__(self, folder: Path, bundle: Path) -> None:
        self._homes = [folder / name for name in ("one", "two")]
        self.ports = [free_port(), free_port()]
        self._arguments = ("--bundle", str(bundle))
        self.processes = [self._start(number) for number in range(2)]
        for number in range(2):
            self._wait(number)

    def kill(self, number: int) -> None:
        """End one without mercy, in the middle of its answers."""
        process = psutil.Process(self.processes[number].pid)
        family = [*process.children(recursive=True), process]
        for member in family:
            member.kill()
        self.processes[number].wait()
        psutil.wait_procs(family, timeout=10)

    def revive(self, number: int) -> None:
        """Start one again and wait until it is ready."""
        self.processes[number] = self._start(number)
        self._wait(number)

    def served(self, number: int) -> float:
        """How many images one has classified."""
        url = f"http://127.0.0.1:{self.ports[number]}/metrics"
        text = httpx.get(url, timeout=30, trust_env=False, verify=False).text
        lines = [line for line in text.splitlines() if line.startswith("medloop_predictions_total")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def stop(self) -> None:
        """End both."""
        for process in self.processes:
            stop(process)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        port = str(self.ports[number])
        return start(self._homes[number], "--port", port, *self._arguments)

    def _wait(self, number: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.ports[number]}", trust_env=False) as c:
            wait_until_ready(c, self.processes[number], self._homes[number])


def test_the_replicas_are_one_service(replicas: Replicas) -> None:
    http, before = replicas.http, [replicas.served(0), replicas.served(1)]
    assert http.get("/livez").status_code == 200
    assert http.get("/readyz").status_code == 200
    ids = set()
    for _ in range(20):
        reply = http.post("/predict", files=IMAGES)
        assert reply.status_code == 200
        assert reply.headers["X-Request-ID"] == reply.json()["request_id"]
        ids.add(reply.json()["request_id"])
    assert len(ids) == 20
    served = [replicas.served(number) - before[number] for number in range(2)]
    assert sum(served) == 20
    assert min(served) > 0

    refused = http.post("/predict", files={"image": b"no picture"})
    assert refused.status_code == 415
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"]


def test_no_request_is_lost_when_a_replica_dies_and_it_is_asked_again_when_it_is_back(
    replicas: Replicas,
) -> None:
    asked = Asking(str(replicas.http.base_url))
    with asked:
        asked.wait_for(20)
        replicas.kill(0)
        asked.wait_for(40)
        replicas.revive(0)
        before = replicas.served(0)
        for _ in range(100):
            asked.wait_for(20)
            if replicas.served(0) > before:
                break
    assert set(asked.statuses) == {200}
    assert replicas.served(0) > before


class Asking:
    """Clients that ask on and on, and note the answers' statuses."""

    def __init__(self, url: str) -> None:
        self.statuses: list[int | str] = []
        """What each request was answered with; the error, if it was not."""
        self._url = url
        self._stopping = threading.Event()
        self._threads = ExitStack()
        self._answered = threading.Semaphore(0)

    def __enter__(self) -> "Asking":
        for _ in range(2):
            thread = threading.Thread(target=self._ask)
            thread.start()
            self._threads.callback(thread.join)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._threads.close()

    def wait_for(self, answers: int) -> None:
        """Wait until that many more are answered."""
        for _ in range(answers):
            assert self._answered.acquire(timeout=30)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as http:
            while not self._stopping.is_set():
                try:
                    self.statuses.append(http.post("/predict", files=IMAGES).status_code)
                except httpx.TransportError as error:
                    self.statuses.append(repr(error))
                self._answered.release()
