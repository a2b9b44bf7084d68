"""What a store can do: the one interface through which Medloop touches stored bytes.

Paths are relative to the store's root, with ``/`` between parts: ``phantom/snapshots/ab12``.
`Store.commit` makes a folder visible all at once: by a rename (`pipelines.storage.renaming`), or
in a bucket by an entry that is created last (`pipelines.storage.object_store`).
"""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from pipelines import layout
from pipelines.atomic import written_whole
from pipelines.errors import NotFound

_MIGRATING = threading.RLock()
MANIFEST = "manifest.json"
"""A folder that has it is complete."""
LOG = "_delta_log"
"""Folder of a Delta table that says which of its files count (`pipelines.data.tables`)."""


class Store(ABC):
    """A tree of files that are written once and never changed.

    Args:
        root: URI of the folder everything stands in, without a trailing slash.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._layout_is_known = False
        self._is_migrating = False

    def uri(self, path: str) -> str:
        """Full URI of ``path``. In a bucket, the files of a committed folder are elsewhere."""
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

    def bytes_below(self, path: str) -> int:
        """Bytes of a file, or of all files below a folder; 0 if nothing is there."""
        files = list(self.walk(path)) or ([path] if self.exists(path) else [])
        try:
            return sum(self.size(file) for file in files)
        except NotFound:  # an empty folder, or what another process has just removed
            return 0

    @abstractmethod
    def has_link(self, path: str) -> bool:
        """Whether ``path`` is a symbolic link, or one is on the way to it."""

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
    def modified(self, path: str) -> float:
        """When a file or folder was last changed: the store's time, in seconds since 1970.

        Raises:
            NotFound: nothing is there.
        """

    @abstractmethod
    def set_modified(self, path: str, when: float) -> None:
        """Set the time of change of a file, which must exist.

        Raises:
            NotFound: there is no such file.
        """

    @abstractmethod
    def hidden(self, path: str) -> list[str]:
        """Names in a folder that `names` leaves out."""

    @abstractmethod
    def _delete(self, path: str) -> None:
        """Delete a file or a whole folder, if it exists."""

    def delete(self, path: str) -> None:
        """Delete a file or a whole folder, if it exists.

        Raises:
            ValueError: ``path`` is the store's root, or leads out of it.
        """
        parts = path.split("/")
        if not all(parts) or any(part in (".", "..") for part in parts):
            raise ValueError(f"{path!r} is not a path inside the store; nothing was deleted.")
        self._delete(path)

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
        with (
            written_whole(local) as part,
            self.open(path) as source,
            part.open("wb") as target,
        ):
            while block := source.read(1 << 20):
                target.write(block)

    def read_json(self, path: str) -> Any:
        """The content of a JSON file."""
        return json.loads(self.read(path))

    def write_json(self, path: str, value: Any) -> None:
        """Write a JSON file, the same bytes for the same value."""
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        self.write(path, text.encode() + b"\n")

    def place(self, path: str, data: bytes) -> None:
        """Write a file under a name of its own; it appears whole or not at all.

        What a killed process leaves is hidden from `names`, and `sweep` deletes it.
        """
        # A server may have written it although its answer was lost.
        is_placed = self.create(path, data) or self.read(path) == data
        assert is_placed, f"{path} exists already"

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Write a small file if none exists at ``path``; it appears whole or not at all.

        Returns:
            Whether it was written. Of several processes, on any machines, that create the same
            file at once, exactly one gets ``True``.
        """

    @abstractmethod
    def replace(self, path: str, data: bytes) -> None:
        """Write a file in the place of another: readers find the old one or the new one."""

    @abstractmethod
    def replace_file(self, local: Path, path: str) -> None:
        """Copy a local file to ``path``: readers find the old file there, the new one or none."""

    @abstractmethod
    def exchange(self, local: Path, path: str) -> None:
        """Put a local file in the place of one, also in a committed folder: readers find the old
        one or the new one.

        Raises:
            NotFound: there is no such file.
        """

    def overwrite(self, path: str, data: bytes) -> None:
        """Put bytes in the place of a file's; see `exchange`."""
        with TemporaryDirectory(prefix="medloop-") as folder:
            local = Path(folder) / "file"
            local.write_bytes(data)
            self.exchange(local, path)

    @abstractmethod
    def sweep(self, folder: str) -> None:
        """Delete what killed writers left in a folder."""

    @abstractmethod
    def dead_in(self, folder: str) -> list[str]:
        """Paths in a folder that `sweep` would delete; by this machine's clock, as nothing is
        written. Clocks may differ by much less than `staging.EXPIRY_SECONDS`."""

    @abstractmethod
    def discard(self, path: str) -> None:
        """Delete a folder or file, so that nobody sees, or goes on with, a part of it."""

    @abstractmethod
    def commit(self, path: str) -> AbstractContextManager[str]:
        """Write a folder where nobody looks, then make it appear at ``path``, all at once.

        Yields the path to write into; it belongs to this writer alone. If the block raises,
        nothing appears, and what was written is deleted. If another process committed the same
        path meanwhile, its folder stays and ours is deleted: a path names its content, so both are
        the same.

        What a killed process left is hidden, and deleted by the next commit into the same parent
        folder once its writer is known to be dead (`pipelines.storage.staging`).

        Raises:
            LayoutError: a newer Medloop has written the store.
            StoreUnavailable: the store does not answer, or this process was suspended for so
                long that another took it for dead. Nothing appears; try again.
        """

    @abstractmethod
    def recommit(self, path: str) -> AbstractContextManager[str]:
        """As `commit`, but the new folder takes the place of one that exists.

        Readers find the old folder, the new one or, for a moment, none; never a part of one.
        """

    def require_layout(self) -> None:
        """Make sure that this code knows how the store is laid out; asked once.

        Raises:
            LayoutError: a newer Medloop has written it.
            StoreUnavailable: the store does not answer.
        """
        if self._layout_is_known:
            return
        with _MIGRATING:  # other threads wait; the steps themselves write, too
            if self._layout_is_known or self._is_migrating:
                return
            self._is_migrating = True
            try:
                layout.STORE.require(self)
                self._layout_is_known = True
            finally:
                self._is_migrating = False


def is_hidden(name: str) -> bool:
    """Whether a name is not the store's content: staging, and markers of other tools. The log of a
    Delta table is content."""
    return name.startswith((".", "_")) and name != LOG
