"""Copies files into a backup, hashing what it copies."""

import hashlib
import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO

from pipelines.backup.manifest import BackupFile
from pipelines.errors import Unavailable
from pipelines.locks import rotation_locked

BLOCK_BYTES = 1 << 20
TRIES = 10
SQLITE = b"SQLite format 3\0"
"""What a SQLite database begins with."""


class Copies:
    """The files of a backup that is being made.

    Everything in it is readable by its owner only: it holds secrets, and pictures of patients.

    Args:
        folder: where it is made; must not exist.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.files: dict[str, BackupFile] = {}

    def place(self, name: str) -> Path:
        """Where a file of the backup goes; its folder stands afterwards."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, name: str, source: BinaryIO, *, most_bytes: int | None = None) -> None:
        """Copy a stream, or so many bytes of it."""
        digest, copied = hashlib.sha256(), 0
        handle = os.open(self.place(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as target:
            while block := source.read(_next(copied, most_bytes)):
                digest.update(block)
                copied += target.write(block)
        self.files[name] = BackupFile(bytes=copied, sha256=digest.hexdigest())

    def note(self, name: str) -> None:
        """Take up a file that somebody else has written to its `place`."""
        path = self.place(name)
        path.chmod(0o600)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.files[name] = BackupFile(bytes=path.stat().st_size, sha256=digest)

    def add_folder(self, name: str, folder: Path, *, without: set[Path]) -> None:
        """Copy the files of one folder, not of its subfolders, as they are at one moment.

        All are opened before the first is copied, and no log is rotated meanwhile (``.1`` becomes
        ``.2``), so none is missed or copied twice; one that grows ends where it ended then.

        Args:
            name: the folder of the backup that they go to.
            folder: the folder to copy.
            without: files to leave out.

        Raises:
            Unavailable: they change faster than they can be opened.
        """
        with ExitStack() as opened:
            files = _opened(folder, without=without, until=opened)
            databases = {path for path, file in files.items() if _is_sqlite(file)}
            for path, file in files.items():
                if path in databases:
                    self._add_sqlite(f"{name}/{path}", folder / path)
                elif not _belongs_to(path, databases):
                    size = os.fstat(file.fileno()).st_size
                    self.add(f"{name}/{path}", file, most_bytes=size)

    def _add_sqlite(self, name: str, path: Path) -> None:
        """Copy a SQLite database between two of its transactions."""
        target = self.place(name)
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database,
            closing(sqlite3.connect(target)) as copy,
        ):
            database.backup(copy)
        self.note(name)


def _opened(folder: Path, *, without: set[Path], until: ExitStack) -> dict[str, BinaryIO]:
    for _ in range(TRIES):
        with rotation_locked(folder):
            paths = sorted(p for p in folder.iterdir() if p.is_file() and p not in without)
            try:
                return {path.name: until.enter_context(path.open("rb")) for path in paths}
            except FileNotFoundError:
                continue
    raise Unavailable(f"{folder} changes faster than its files can be opened; try again.")


def _is_sqlite(file: BinaryIO) -> bool:
    """Whether a file is a SQLite database; it is read from its beginning afterwards."""
    begins = file.read(len(SQLITE))
    file.seek(0)
    return begins == SQLITE


def _belongs_to(name: str, databases: set[str]) -> bool:
    """Whether a file is the journal of a SQLite database."""
    return any(name in (f"{d}-journal", f"{d}-wal", f"{d}-shm") for d in databases)


def _next(copied: int, most_bytes: int | None) -> int:
    return BLOCK_BYTES if most_bytes is None else min(BLOCK_BYTES, most_bytes - copied)
