"""A store in HDFS, through the ``hdfs`` client over WebHDFS."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from hdfs import InsecureClient
from hdfs.util import HdfsError
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage.base import is_hidden
from pipelines.storage.renaming import RenamingStore

CHUNK_BYTES = 1 << 22
ABSENT = ("FileNotFoundException", "ParentNotDirectoryException")
"""What HDFS answers about a path that does not exist, or that leads through a file."""
NOT_READY = (
    *("standbyexception", "safe mode", "startup mode", "eofexception", "connection refused"),
    *("failed to find datanode", "could not obtain block", "could only be written to"),
    *("could only be replicated to", "retriableexception", "alreadybeingcreated"),
    *("recoveryinprogress", "notreplicatedyet"),
)
"""What HDFS says while a NameNode starts or a DataNode has lost its connection to it."""


class HdfsStore(RenamingStore):
    """Files below one HDFS folder.

    Args:
        root: ``hdfs://HOST:PORT/PATH``, as Spark reads it.
        webhdfs: URL of the NameNode's HTTP port.
        user: whom the files belong to.
    """

    def __init__(self, root: str, *, webhdfs: str, user: str) -> None:
        super().__init__(root)
        self.webhdfs = webhdfs
        self.user = user
        folder = urlsplit(root).path or "/"
        self.client = InsecureClient(webhdfs, user=user, root=folder, timeout=120)

    def exists(self, path: str) -> bool:
        return self.status(path) is not None

    def status(self, path: str) -> dict[str, Any] | None:
        """The WebHDFS FileStatus of a file or folder; ``None`` if it is not there."""
        with self._reaching():
            try:
                return cast("dict[str, Any]", self.client.status(path))
            except HdfsError as error:
                # Nothing else means absent: a NameNode that starts says many things.
                if error.exception in ABSENT:
                    return None
                raise

    def names(self, path: str) -> list[str]:
        return [name for name in self._entries(path) if not is_hidden(name)]

    def hidden(self, path: str) -> list[str]:
        return [name for name in self._entries(path) if is_hidden(name)]

    def _entries(self, path: str) -> list[str]:
        status = self.status(path)
        if status is None or status["type"] != "DIRECTORY":
            return []
        with self._reaching():
            return sorted(self.client.list(path))

    def walk(self, path: str = "") -> Iterator[str]:
        return self._walk(path) if self.exists(path) else iter(())

    def _walk(self, path: str) -> Iterator[str]:
        for name, status in sorted(self.statuses(path).items()):
            inner = f"{path}/{name}" if path else name
            if is_hidden(name):
                continue
            if status["type"] == "DIRECTORY":
                yield from self._walk(inner)
            else:
                yield inner

    def size(self, path: str) -> int:
        return int(self._found(path)["length"])

    def has_link(self, path: str) -> bool:
        status = self.status(path)
        return status is not None and status["type"] == "SYMLINK"

    def bytes_below(self, path: str) -> int:
        with self._reaching():
            try:
                return int(self.client.content(path)["length"])
            except HdfsError as error:
                if error.exception in ABSENT:
                    return 0
                raise

    def statuses(self, path: str) -> dict[str, dict[str, Any]]:
        """Name → WebHDFS FileStatus of all that stands in a folder, hidden or not.

        Raises:
            HdfsError: there is no such folder, or it may not be read.
            StoreUnavailable: HDFS does not answer.
        """
        with self._reaching():
            return dict(self.client.list(path, status=True))

    def _found(self, path: str) -> dict[str, Any]:
        status = self.status(path)
        if status is None or status["type"] != "FILE":
            raise NotFound(f"There is no file {self.uri(path)}.")
        return status

    def open(self, path: str) -> BinaryIO:
        with self._finding(path):
            return cast(BinaryIO, _Reader(self, path))

    def upload(self, local: Path, path: str) -> None:
        with self._reaching(), local.open("rb") as source:
            self.client.write(
                path, data=iter(lambda: source.read(CHUNK_BYTES), b""), overwrite=True
            )

    def write(self, path: str, data: bytes) -> None:
        with self._reaching():
            self.client.write(path, data=data, overwrite=True)

    def modified(self, path: str) -> float:
        status = self.status(path)
        if status is None:
            raise NotFound(f"There is no {self.uri(path)}.")
        return float(status["modificationTime"]) / 1000

    def set_modified(self, path: str, when: float) -> None:
        with self._reaching(), self._finding(path):
            self.client.set_times(path, modification_time=int(when * 1000))

    def _delete(self, path: str) -> None:
        with self._reaching():
            self.client.delete(path, recursive=True)

    def rename(self, source: str, target: str) -> bool:
        try:
            self._rename_as(source, target, how="NONE")
        except HdfsError as error:
            if error.exception == "FileAlreadyExistsException":
                return False
            raise
        return True

    def _exchange(self, source: str, target: str) -> None:
        self._rename_as(source, target, how="OVERWRITE")

    def _rename_as(self, source: str, target: str, *, how: str) -> None:
        """HDFS's ``rename2``; `InsecureClient.rename` would move a folder into an existing one."""
        with self._reaching(), self._finding(source):
            self.client._rename(source, destination=self.client.resolve(target), renameoptions=how)

    @contextmanager
    def _finding(self, path: str) -> Iterator[None]:
        """Turn the client's error about an absent file into ours."""
        try:
            yield
        except HdfsError as error:
            if error.exception in ABSENT:
                raise NotFound(f"There is no {self.uri(path)}.") from error
            raise

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn the client's connection errors into ours."""
        try:
            yield
        # urllib3's own: a DataNode that ends in the middle of a file.
        except (RequestException, HTTPError) as error:
            raise StoreUnavailable(
                f"HDFS does not answer at {self.webhdfs} ({type(error).__name__}: {error}). "
                "Is the stack up (medloop stack status)?"
            ) from error
        except HdfsError as error:
            said = f"{error.exception}: {error}".lower()
            # What is no answer of HDFS's own (no JSON) comes from something before it that is ill.
            if error.exception is None or any(sign in said for sign in NOT_READY):
                raise StoreUnavailable(f"HDFS at {self.webhdfs} is not ready: {error}") from error
            raise


class _Reader:
    """The stream of one file, with the store's errors; just what reading in blocks needs."""

    def __init__(self, store: HdfsStore, path: str) -> None:
        self._store = store
        self._path = path
        with store._reaching():
            self._context = store.client.read(path)
            self._stream = self._context.__enter__()

    def read(self, size: int = -1) -> bytes:
        with self._store._reaching():
            return cast(bytes, self._stream.read(size if size >= 0 else None))

    def close(self) -> None:
        self._context.__exit__(None, None, None)

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
