"""What a store can do: the one interface through which Medloop touches stored bytes.

Paths are relative to the store's root, with ``/`` between parts: ``phantom/snapshots/ab12``.
A folder becomes visible all at once, by `Store.commit`.
"""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipelines import layout

STAGING_PREFIX = ".staging-"


class Store(ABC):
    """A tree of files that are written once and never changed.

    Args:
        root: URI of the folder everything stands in, without a trailing slash.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._layout_is_known = False

    def uri(self, path: str) -> str:
        """Full URI of ``path``, as Spark reads it."""
        return f"{self.root}/{path}"

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file or folder stands at ``path``."""

    @abstractmethod
    def names(self, path: str) -> list[str]:
        """Sorted names in the folder ``path``, without hidden ones; empty if there is none."""

    @abstractmethod
    def walk(self, path: str = "") -> Iterator[str]:
        """Paths of all files below a folder, folder by folder, without hidden ones."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Size of a file in bytes."""

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; a context manager.

        Raises:
            NotFound: there is no such file.
        """

    @abstractmethod
    def upload(self, local: Path, path: str) -> None:
        """Copy a local file to ``path``, making its folders; an existing file is replaced."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Write a small file, making its folders; an existing file is replaced."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file or a whole folder, if it stands."""

    @abstractmethod
    def _move_new(self, source: str, target: str) -> bool:
        """Rename a file atomically; ``False`` if a file exists at ``target``."""

    @abstractmethod
    def _rename(self, source: str, target: str) -> bool:
        """Rename a folder atomically; ``False`` if something stands at ``target`` already."""

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            NotFound: there is no such file.
        """
        with self.open(path) as file:
            return file.read()

    def download(self, path: str, local: Path) -> None:
        """Copy a file to ``local``; it appears there whole or not at all."""
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(f".{local.name}.{secrets.token_hex(4)}")
        try:
            with self.open(path) as source, part.open("wb") as target:
                while block := source.read(1 << 20):
                    target.write(block)
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def read_json(self, path: str) -> Any:
        """The content of a JSON file."""
        return json.loads(self.read(path))

    def write_json(self, path: str, value: Any) -> None:
        """Write a JSON file, the same bytes for the same value."""
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        self.write(path, text.encode() + b"\n")

    def place(self, path: str, data: bytes) -> None:
        """Write a file under a name of its own; it appears whole or not at all.

        What a process leaves that is killed meanwhile is hidden from `names`.
        """
        self.require_layout()
        parent, _, name = path.rpartition("/")
        staging = f"{parent}/{STAGING_PREFIX}{name}-{secrets.token_hex(4)}"
        self.write(staging, data)
        is_placed = self._rename(staging, path)
        assert is_placed, f"{path} stands already"

    def create(self, path: str, data: bytes) -> bool:
        """Write a small file if none exists at ``path``; it appears whole or not at all.

        Returns:
            Whether it was written. Of several processes, on any machines, that create the same
            file at once, exactly one gets ``True``.
        """
        self.require_layout()
        if self.exists(path):
            return False
        parent, _, name = path.rpartition("/")
        staging = f"{parent}/{STAGING_PREFIX}{name}-{secrets.token_hex(4)}"
        self.write(staging, data)
        try:
            return self._move_new(staging, path)
        finally:
            self.delete(staging)

    def replace(self, path: str, data: bytes) -> None:
        """Write a file in the place of another: readers find the old one, the new one or, for a
        moment in HDFS, none, but never a part of one."""
        staging = f"{STAGING_PREFIX}{secrets.token_hex(4)}"
        self.write(staging, data)
        self.delete(path)
        if not self._rename(staging, path):
            self.delete(staging)

    def require_layout(self) -> None:
        """Make sure that this code knows how the store is laid out; asked once.

        Raises:
            LayoutError: a newer Medloop has written it.
            StoreUnavailable: the store does not answer.
        """
        if not self._layout_is_known:
            layout.STORE.require(self)
            self._layout_is_known = True

    @contextmanager
    def commit(self, path: str) -> Iterator[str]:
        """Write a folder beside its place, then rename it into place.

        Yields the staging path to write into. If the block raises, nothing appears and the
        staging folder is deleted. If somebody else committed the same path meanwhile, theirs
        stays and ours is deleted: a path names its content, so both are the same.

        What a killed process left in staging is hidden, and deleted by the next commit of
        the same path.

        Raises:
            LayoutError: a newer Medloop has written the store.
        """
        self.require_layout()
        parent, _, name = path.rpartition("/")
        prefix = f"{STAGING_PREFIX}{name}-"
        for leftover in self._hidden(parent):
            if leftover.startswith(prefix):
                self.delete(f"{parent}/{leftover}")
        staging = f"{parent}/{prefix}{secrets.token_hex(4)}"
        try:
            yield staging
            if not self._rename(staging, path):
                self.delete(staging)
        except BaseException:
            self.delete(staging)
            raise

    @abstractmethod
    def _hidden(self, path: str) -> list[str]:
        """Names in a folder that `names` leaves out."""


def is_hidden(name: str) -> bool:
    """Whether a name is none of the store's content (staging, markers of other tools)."""
    return name.startswith((".", "_"))
