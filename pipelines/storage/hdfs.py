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
from pipelines.storage.base import Store, is_hidden

CHUNK_BYTES = 1 << 22
NOT_READY = (
    *("standbyexception", "safe mode", "startup mode", "eofexception", "connection refused"),
    *("failed to find datanode", "could not obtain block"),
)
"""What HDFS says while a NameNode starts or a DataNode has lost its connection to it."""


class HdfsStore(Store):
    """Files below one HDFS folder.

    Args:
        root: ``hdfs://HOST:PORT/PATH``, as Spark reads it.
        webhdfs: URL of the NameNode's HTTP port.
        user: whom the files belong to.
    """

    def __init__(self, root: str, *, webhdfs: str, user: str) -> None:
        super().__init__(root)
        self.webhdfs = webhdfs
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
                if error.exception == "FileNotFoundException":
                    return None
                raise

    def names(self, path: str) -> list[str]:
        return [name for name in self._entries(path) if not is_hidden(name)]

    def _hidden(self, path: str) -> list[str]:
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
        try:
            return cast(BinaryIO, _Reader(self, path))
        except HdfsError as error:
            if error.exception == "FileNotFoundException":
                raise NotFound(f"There is no file {self.uri(path)}.") from error
            raise

    def upload(self, local: Path, path: str) -> None:
        with self._reaching(), local.open("rb") as source:
            self.client.write(
                path, data=iter(lambda: source.read(CHUNK_BYTES), b""), overwrite=True
            )

    def write(self, path: str, data: bytes) -> None:
        with self._reaching():
            self.client.write(path, data=data, overwrite=True)

    def delete(self, path: str) -> None:
        with self._reaching():
            self.client.delete(path, recursive=True)

    def _move_new(self, source: str, target: str) -> bool:
        # HDFS never moves a file onto another one.
        with self._reaching():
            try:
                self.client.rename(source, target)
            except HdfsError:
                if self.exists(target):
                    return False
                raise
        return True

    def _rename(self, source: str, target: str) -> bool:
        # HDFS moves a folder *into* an existing target, so a race shows as our folder inside
        # theirs; it is taken out again and theirs stays.
        if self.exists(target):
            return False
        with self._reaching():
            self.client.rename(source, target)
        inside = f"{target}/{source.rpartition('/')[2]}"
        if self.exists(inside):
            self.delete(inside)
        return True

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
            if any(sign in said for sign in NOT_READY):
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
