"""Several processes append to one log, and it is put aside by size."""

import os
import subprocess
import sys
from pathlib import Path

from serving.records.append import Appended

WRITER = """
import sys
from pathlib import Path
from serving.records.append import Appended
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
from serving.records.append import Appended
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
