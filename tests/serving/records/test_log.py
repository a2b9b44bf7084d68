"""Several processes append to one log, put aside by size; handing a line in never waits."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from serving.records import log as spool
from serving.records.log import Appended, Spool

WRITER = """
import sys
from pathlib import Path
from serving.records.log import Appended
log = Appended(Path(sys.argv[1]), most_bytes=2_000, files=200)
for n in range(400):
    log.write(f"{sys.argv[2]} {n} {'x' * 80}\\n".encode())
"""


def appended(folder: Path, *, most_bytes: int = 100, files: int = 3) -> Appended:
    return Appended(folder / "log", most_bytes=most_bytes, files=files)


def test_lines_of_several_processes_are_whole_and_none_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(number)])
        for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    files = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    lines = [line for path in files for line in path.read_text("utf-8").splitlines()]
    assert len(files) > 50
    assert {tuple(line.split()[:2]) for line in lines} == {
        (str(writer), str(n)) for writer in range(4) for n in range(400)
    }
    assert len(lines) == 1600
    assert all(line.endswith("x" * 80) for line in lines)


def test_the_oldest_go_when_there_are_enough(tmp_path: Path) -> None:
    log = appended(tmp_path)
    for n in range(10):
        log.write(f"{n}{'-' * 100}\n".encode())
    named = {path.name: path.read_text("utf-8")[0] for path in tmp_path.glob("log*")}
    assert named == {"log": "9", "log.1": "8", "log.2": "7"}


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path: Path) -> None:
    log = appended(tmp_path)
    log.write(b"one\n")
    (tmp_path / "log").unlink()
    log.write(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"two\n"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    log = appended(tmp_path / "audit")
    log.write(b"one\n")
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "audit" / "log").stat().st_mode & 0o777 == 0o600


def test_a_line_torn_by_a_full_disk_is_written_again_whole(tmp_path: Path) -> None:
    """The limit on a file's size tears a write as a full disk does."""
    torn = """
import resource, signal, sys
from pathlib import Path
from serving.records.log import Appended
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
log = Appended(Path(sys.argv[1]), most_bytes=10_000, files=3)
lines = b"first line\\nsecond line\\nthird line\\n"
lines = lines[log.write(lines):]
assert lines == b"third line\\n", lines
try:
    log.write(lines)
except OSError:
    pass
else:
    raise AssertionError("there was room")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert log.write(lines) == len(lines)
"""
    log = tmp_path / "log"
    subprocess.run([sys.executable, "-c", torn, str(log)], check=True, timeout=60)
    lines = log.read_bytes().split(b"\n")
    assert [line for line in lines if line.endswith(b"line")] == [
        *(b"first line", b"second line"),
        b"third line",
    ]


def test_closing_lets_go_of_the_file(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    log = appended(tmp_path)
    log.write(b"one\n")
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


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
from serving.records import log as spool
from serving.records.log import Appended
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
