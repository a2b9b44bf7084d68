"""A step that takes more memory than it may fails with a sentence; others are left alone."""

import subprocess
import sys
import time

import pytest

from pipelines import memory
from pipelines.errors import MemoryExceeded
from pipelines.memory import bounded_memory, taken

CHILD = "held = b'x' * (300 << 20); import time; time.sleep(60)"


def test_what_stays_below_its_bound_is_not_disturbed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), bounded_memory(taken() + 1, what="the test"):
        held = b"x" * (50 << 20)

    assert len(held) == 50 << 20
    assert "the test took" in caplog.text


def test_memory_of_children_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY_SECONDS", 0.1)
    with pytest.raises(MemoryExceeded, match="the test takes more than"):
        _wait_for_a_large_child(seconds=60)


def _wait_for_a_large_child(*, seconds: float) -> None:
    with (
        bounded_memory(taken() + 0.2, what="the test"),
        subprocess.Popen([sys.executable, "-c", CHILD]) as child,
    ):
        try:
            time.sleep(seconds)
        finally:
            child.kill()


def test_a_bound_ends_with_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY_SECONDS", 0.05)
    with bounded_memory(taken() + 0.1, what="the test"):
        pass
    held = b"x" * (200 << 20)
    time.sleep(0.3)

    assert len(held) == 200 << 20
