"""A store in a bucket (``s3://``, ``gs://``, ``abfs://``), where nothing can be renamed.

A folder is committed by its *entry*, one object that is created if it does not exist:

    d/.staging-s1-TOKEN        the lease of the writer of d/s1; renewed until it has finished
    d/.data-s1-TOKEN/…         its files; nobody looks there until the entry names them
    d/.data-s1-TOKEN/.sealed   ``committed`` by the writer, or ``abandoned`` by whoever took it for
                               dead; created once, so it is one or the other
    d/s1/.folder               the entry: ``.data-s1-TOKEN``

So half a folder is never seen, nothing is copied, and of several writers exactly one is named. This
rests on the server's "create if it does not exist", which is tried before it is first needed.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipelines.errors import NotFound
from pipelines.storage import attempts
from pipelines.storage.attempts import ENTRY, Attempt
from pipelines.storage.base import Store, is_hidden
from pipelines.storage.objects import Access, Found, Objects
from pipelines.storage.staging import STAGING_PREFIX

T = TypeVar("T")


class ObjectStore(Store):
    """Files below one folder of a bucket.

    Args:
        root: ``s3://BUCKET/PATH``.
        access: how the server is reached.
    """

    def __init__(self, root: str, access: Access) -> None:
        super().__init__(root)
        self.access = access
        self.objects = Objects(self.root, access)
        self._entries: dict[str, str] = {}
        """Committed folder → its data, as far as it is known."""

    def exists(self, path: str) -> bool:
        return any(self.objects.look(at) for at in self._places(path))

    def names(self, path: str) -> list[str]:
        return sorted(name for name in self._listing(path) if not is_hidden(name))

    def hidden(self, path: str) -> list[str]:
        listing = self._listing(path)
        left_out = {name for name in listing if is_hidden(name) and name != attempts.SEAL}
        return sorted(name for name in left_out if not self._is_committed(f"{path}/{name}"))

    def _is_committed(self, path: str) -> bool:
        """Whether these are the data of a committed folder."""
        attempt = Attempt.of_data(path)
        return attempt is not None and self._entry(attempt.path) == path

    def walk(self, path: str = "") -> Iterator[str]:
        return (file for file, _ in self._below(path))

    def bytes_below(self, path: str) -> int:
        sizes = [found.size for _, found in self._below(path)]
        try:
            return sum(sizes) if sizes else self.size(path)
        except NotFound:
            return 0

    def size(self, path: str) -> int:
        return self._found(path).size

    def has_link(self, path: str) -> bool:  # noqa: ARG002 (of the interface)
        return False

    def open(self, path: str) -> BinaryIO:
        return self._first(path, self.objects.open)

    def read(self, path: str) -> bytes:
        return self._first(path, self.objects.get)

    def modified(self, path: str) -> float:
        return self._found(path).modified

    def _found(self, path: str) -> Found:
        def require(at: str) -> Found:
            if (found := self.objects.find(at)) is None:
                raise NotFound(f"There is no file {self.uri(path)}.")
            return found

        return self._first(path, require)

    def _first(self, path: str, ask: Callable[[str], T]) -> T:
        """The answer of the first place at which there is something."""
        for at in self._places(path):
            try:
                return ask(at)
            except NotFound:
                continue
        raise NotFound(f"There is no file {self.uri(path)}.")

    def _listing(self, path: str) -> dict[str, Found]:
        for at in self._places(path, is_folder=True):
            listing = self.objects.list(at)
            if listing and ENTRY not in listing:
                return listing
        return {}

    def _below(self, path: str) -> Iterator[tuple[str, Found]]:
        for name, found in sorted(self._listing(path).items()):
            inner = f"{path}/{name}" if path else name
            if is_hidden(name):
                continue
            if found.is_folder:
                yield from self._below(inner)
            else:
                yield inner, found

    def _places(self, path: str, *, is_folder: bool = False) -> Iterator[str]:
        """Where ``path`` may be, from what is known to what has to be asked for."""
        parts = path.split("/")
        # No folder of the root is committed: those are the data sets.
        counts = range(len(parts) if is_folder else len(parts) - 1, 1, -1)
        folders = ["/".join(parts[:count]) for count in counts]
        known = next((folder for folder in folders if folder in self._entries), None)
        if known is not None:
            yield self._entries[known] + path.removeprefix(known)
            self._entries.pop(known, None)  # it was not there: another has replaced the folder
        yield path
        for folder in folders:
            if (data := self._entry(folder)) is not None:
                yield data + path.removeprefix(folder)
                return

    def _entry(self, path: str) -> str | None:
        """Where the files of a committed folder are; ``None`` if it is not one."""
        try:
            name = self.objects.get(f"{path}/{ENTRY}").decode()
        except NotFound:
            self._entries.pop(path, None)
            return None
        self._entries[path] = data = f"{path.rpartition('/')[0]}/{name}"
        return data

    def upload(self, local: Path, path: str) -> None:
        self.objects.upload(local, path)

    def write(self, path: str, data: bytes) -> None:
        self.objects.put(path, data)

    def replace(self, path: str, data: bytes) -> None:
        self.objects.put(path, data)

    def replace_file(self, local: Path, path: str) -> None:
        self.objects.upload(local, path)

    def exchange(self, local: Path, path: str) -> None:
        def put(at: str) -> None:
            if self.objects.find(at) is None:
                raise NotFound(f"There is no file {self.uri(path)}.")
            self.objects.upload(local, at)

        self._first(path, put)

    def set_modified(self, path: str, when: float) -> None:  # noqa: ARG002 (of the interface)
        """Set the time of change of a small file to the server's own time."""
        self._first(path, lambda at: self.objects.put(at, self.objects.get(at)))

    def create(self, path: str, data: bytes) -> bool:
        self.require_layout()
        return self.objects.create(path, data)

    def _delete(self, path: str) -> None:
        data = self._entry(path)
        if data is not None:
            self.objects.delete(f"{path}/{ENTRY}")
            self._entries.pop(path, None)
            self.objects.delete(data)
        for at in list(self._places(path)):
            self.objects.delete(at)

    def discard(self, path: str) -> None:
        if (attempt := Attempt.of_data(path)) is not None:
            attempts.abandon(self, attempt)
        self._delete(path)

    def sweep(self, folder: str) -> None:
        probe = f"{folder}/{STAGING_PREFIX}probe-{secrets.token_hex(8)}"
        self.objects.put(probe, b"")
        try:
            found = self.objects.find(probe)
        finally:
            self.objects.delete(probe)
        assert found is not None
        attempts.sweep(self, folder, now=found.modified)

    def dead_in(self, folder: str) -> list[str]:
        return attempts.dead_in(self, folder)

    @contextmanager
    def commit(self, path: str) -> Iterator[str]:
        with attempts.attempt(self, path) as attempt:
            yield attempt.data
            attempts.publish(self, attempt)

    @contextmanager
    def recommit(self, path: str) -> Iterator[str]:
        """As `Store.recommit`; readers find the old folder or the new one."""
        with attempts.attempt(self, path) as attempt:
            yield attempt.data
            attempts.publish(self, attempt, replaces=True)
