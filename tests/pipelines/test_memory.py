"""A step that takes more memory than it may fails with a sentence; others are left alone."""

import subprocess
import sys
import time

import pytest

from pipelines import memory
from pipelines.memory import bounded_memory, taken
from pipelines.settings import PROJECT

CHILD = "held = b'x' * (300 << 20); import time; time.sleep(60)"


def test_what_stays_below_its_bound_is_not_disturbed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), bounded_memory(taken() + 1, what="the test"):
        held = b"x" * (50 << 20)

    assert len(held) == 50 << 20
    assert "the test took" in caplog.text


WITH_A_LARGE_CHILD = f"""
import subprocess, sys, time
from pipelines import memory
from pipelines.errors import MemoryExceeded
memory.EVERY_SECONDS = 0.1
try:
    with memory.bounded_memory(memory.taken() + 0.2, what="the test"):
        child = subprocess.Popen([sys.executable, "-c", {CHILD!r}])
        time.sleep(60)
except MemoryExceeded as error:
    print(error)
finally:
    child.kill()
"""


def test_memory_of_children_counts() -> None:
    # In a process of its own: it is told by a signal, which is nothing for one that runs tests.
    told = subprocess.run(
        [sys.executable, "-c", WITH_A_LARGE_CHILD],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert "the test takes more than" in told.stdout


def test_a_bound_ends_with_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY_SECONDS", 0.05)
    with bounded_memory(taken() + 0.1, what="the test"):
        pass
    held = b"x" * (200 << 20)
    time.sleep(0.3)

    assert len(held) == 200 << 20
