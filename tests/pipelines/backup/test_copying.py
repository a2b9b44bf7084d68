"""Files are copied as they stood at one moment, whatever happens to them meanwhile."""

import hashlib
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.backup.copying import Copies
from serving.records.log import Appended


def test_what_is_copied_is_private_and_hashed(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    copies = Copies(tmp_path / "copy")

    copies.add_folder("home", tmp_path, without=set())

    copy = tmp_path / "copy" / "home" / "key"
    assert copy.read_bytes() == b"secret"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copies.folder.stat().st_mode & 0o777 == 0o700
    assert copies.files["home/key"].bytes == 6
    assert copies.files["home/key"].sha256 == hashlib.sha256(b"secret").hexdigest()


def test_folders_inside_and_what_is_left_out_are_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inside").mkdir(parents=True)
    for name in ("a", "b", "inside/c"):
        (source / name).write_bytes(b"")
    copies = Copies(tmp_path / "copy")

    copies.add_folder("x", source, without={source / "b"})

    assert set(copies.files) == {"x/a"}


@pytest.mark.parametrize("_", range(5))
def test_a_log_that_grows_and_is_put_aside_loses_no_line(tmp_path: Path, _: int) -> None:
    folder = tmp_path / "audit"
    log = Appended(folder / "answers.jsonl", most_bytes=20_000, files=400)
    written, stopped = [0], threading.Event()

    def write() -> None:
        while not stopped.is_set():
            log.write(b"%08d\n" % written[0])
            written[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while written[0] < 20_000:
            time.sleep(0.001)
        before = written[0]
        copies = Copies(tmp_path / "copy")
        copies.add_folder("audit", folder, without=set())
    finally:
        stopped.set()
        thread.join()

    copied = b"".join(p.read_bytes() for p in (tmp_path / "copy" / "audit").glob("answers*"))
    numbers = sorted(int(line) for line in copied.splitlines())
    assert numbers[:before] == list(range(before))
    assert numbers == list(range(len(numbers)))


def test_a_sqlite_database_is_copied_between_two_transactions(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with closing(sqlite3.connect(source / "book.sqlite")) as book:
        book.execute("CREATE TABLE t (n)")
        book.execute("INSERT INTO t VALUES (1)")
        book.commit()
        book.execute("INSERT INTO t VALUES (2)")
        assert (source / "book.sqlite-journal").exists()
        copies = Copies(tmp_path / "copy")
        copies.add_folder("home", source, without=set())

    assert set(copies.files) == {"home/book.sqlite"}
    with closing(sqlite3.connect(tmp_path / "copy" / "home" / "book.sqlite")) as copy:
        assert copy.execute("SELECT n FROM t").fetchall() == [(1,)]
    assert (tmp_path / "copy" / "home" / "book.sqlite").stat().st_mode & 0o777 == 0o600
