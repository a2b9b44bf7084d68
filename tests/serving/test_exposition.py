"""``/metrics`` adds the workers up: what ended ones counted stays, what they were does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving.metrics import exposed

WORKER = """
from prometheus_client import Counter, Gauge
Counter("counted", "Things.").inc(3)
Gauge("is_now", "A state.", multiprocess_mode="livesum").set(1)
print("ready", flush=True)
input()
"""


def worker(folder: Path) -> subprocess.Popen[str]:
    """A process that has counted three things and is in a state, until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_killed_worker_s_counts_stay_and_its_state_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    workers = [worker(tmp_path) for _ in range(2)]
    try:
        assert figures() == {"counted_total": 6, "is_now": 2}
        workers[0].kill()
        workers[0].wait()
        assert figures() == {"counted_total": 6, "is_now": 1}
    finally:
        for process in workers:
            process.kill()
            process.communicate()


def figures() -> dict[str, float]:
    lines = [line for line in exposed().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.split() for line in lines)}
