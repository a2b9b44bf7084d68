"""One worker of several dies: the others serve on, and another takes its place.

Started by ``bentoml serve`` from a checkout.
"""

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from pipelines.settings import PROJECT
from tests.serving.bundles import png
from tests.serving.running import served_by_bentoml

SECONDS = 40
CLIENTS = 4


def test_a_killed_worker_costs_at_most_what_it_worked_on(bundle: Path, tmp_path: Path) -> None:
    checkout = ("serving.service:MedloopService", "--working-dir", str(PROJECT))
    given = {"bundle": bundle, "workers": 2, "threads": 1, "auth": "loopback"}
    options = (f"--arg={name}={value}" for name, value in given.items())
    with served_by_bentoml(tmp_path, *checkout, *options) as http:
        before = _all_serving(http)
        victim = next(iter(before))
        with ThreadPoolExecutor(CLIENTS) as threads:
            asking = [threads.submit(_ask_for, str(http.base_url), 3.0) for _ in range(CLIENTS)]
            time.sleep(1)
            os.kill(victim, signal.SIGKILL)
            statuses = sum((client.result() for client in asking), Counter())
        assert set(statuses) <= {0, 200}
        assert statuses[0] <= CLIENTS
        assert statuses[200] > 100
        after = _all_serving(http)
        assert victim not in after
        assert len(after - before) == 1


def _ask_for(url: str, seconds: float) -> Counter[int]:
    """Statuses of questions on a new connection each; 0 is no answer."""
    statuses: Counter[int] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with httpx.Client(base_url=url, trust_env=False, verify=False) as http:
                statuses[http.post("/predict", files={"image": png()}).status_code] += 1
        except httpx.TransportError:
            statuses[0] += 1
    return statuses


def _all_serving(http: httpx.Client) -> set[int]:
    """Process ids, once two workers serve."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            workers = http.get("/model").json()["workers"]
        except httpx.TransportError:
            continue
        pids = {worker["pid"] for worker in workers if worker["models"]}
        if len(pids) == 2:
            return pids
        time.sleep(0.1)
    raise AssertionError("two workers did not come to serve")
