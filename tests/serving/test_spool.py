"""Lines wait in memory while the disk takes none."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from serving import spool
from serving.append import Appended
from serving.spool import Spool

FULL = Path("/dev/full")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def running(log: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0.02)
    begun = Spool(Appended(log, most_bytes=1_000_000, files=3), name="test")
    begun.start()
    return begun


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lost() -> float:
    return REGISTRY.get_sample_value("medloop_audit_lost_total") or 0


def test_all_lines_are_written_in_order_before_it_ends(running: Spool, log: Path) -> None:
    for n in range(5000):
        running.put(f"{n}\n".encode())
    running.stop()
    assert log.read_text("utf-8").split() == [str(n) for n in range(5000)]


def test_an_idle_one_ends_at_once(running: Spool) -> None:
    time.sleep(0.05)
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 1


def test_lines_wait_for_a_full_disk_to_have_room(
    running: Spool, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log.symlink_to(FULL)
    for n in range(100):
        running.put(f"{n}\n".encode())
    until(lambda: "No space left" in caplog.text)
    log.unlink()
    until(lambda: log.exists() and log.read_text("utf-8").endswith("99\n"))
    running.stop()
    assert log.read_text("utf-8").split() == [str(n) for n in range(100)]
    assert caplog.text.count("No space left") == 1
    assert "written again" in caplog.text


def test_what_does_not_fit_in_memory_is_counted(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "WAITING", 10)
    waiting = Spool(Appended(log, most_bytes=1_000, files=3), name="test")
    before = lost()
    for _ in range(14):
        waiting.put(b"line\n")
    assert lost() == before + 4


def test_what_cannot_be_written_at_the_end_is_counted_and_told(
    running: Spool, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    log.symlink_to(FULL)
    before = lost()
    for _ in range(7):
        running.put(b"line\n")
    until(lambda: "No space left" in caplog.text)
    running.stop()
    assert lost() == before + 7
    assert "7 lines of the audit log" in caplog.text
