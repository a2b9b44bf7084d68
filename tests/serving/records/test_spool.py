"""Lines wait in memory while the disk takes none."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from serving.records import spool
from serving.records.append import Appended
from serving.records.spool import Spool

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


def test_a_disk_that_fills_up_within_a_line_costs_no_line(log: Path) -> None:
    """The limit on a file's size tears a write as a full disk does."""
    torn = """
import resource, signal, sys, time
from pathlib import Path
from serving.records import spool
from serving.records.append import Appended
spool.RETRY_SECONDS = 0.02
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (255, resource.RLIM_INFINITY))
log = Path(sys.argv[1])
lines = spool.Spool(Appended(log, most_bytes=100_000, files=3), name="test")
for n in range(100):
    lines.put(f"line {n}.\\n".encode())
lines.start()
while not log.exists() or log.stat().st_size < 255:
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
lines.stop()
"""
    subprocess.run([sys.executable, "-c", torn, str(log)], check=True, timeout=60)
    whole = [line for line in log.read_text("utf-8").splitlines() if line.endswith(".")]
    assert whole == [f"line {n}." for n in range(100)]


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
