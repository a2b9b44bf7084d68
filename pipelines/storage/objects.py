"""Objects of a bucket, through fsspec: ``s3://``, ``gs://``, ``abfs://``; with errors of ours.

Nothing is remembered between two questions, and no question is answered from a cache.
"""

import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from pipelines.errors import MedloopError, NotFound, SettingsError, StoreUnavailable
from pipelines.settings import Settings

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SCHEMES = ("s3", "gs", "abfs")
BLOCK_BYTES = 8 << 20
"""What is read at a time of a file that is read in parts."""
CONNECT_SECONDS = 10
READ_SECONDS = 20
ATTEMPTS = 3
"""Of each request; s3fs tries those that time out five times again."""
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE and ~/.aws/credentials",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`",
    "abfs": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, or `az login`",
}
"""Where clients look for them."""
REFUSALS = ("Credential", "Authentication", "ProfileNotFound", "TokenRetrieval", "RefreshError")
"""In the names of the errors by which clients say that they have no (valid) credentials."""
OTHER_REGION = ("AuthorizationHeaderMalformed", "PermanentRedirect", "301")
PATTERN = re.compile(r"[*?\[]")
CONFLICTS = ("ConditionalRequestConflict", "OperationAborted", "409")
"""What S3 answers when another request for the same object was in progress."""
MISTAKES = (AttributeError, AssertionError, LookupError, NameError, TypeError, ValueError)


@dataclass(frozen=True)
class Access:
    """How a server is reached; credentials are the clients' business."""

    endpoint: str | None
    region: str | None
    ca_bundle: Path | None

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """As the settings say."""
        return cls(settings.store_endpoint, settings.store_region, settings.store_ca_bundle)

    def options(self, scheme: str) -> dict[str, Any]:
        """Arguments of fsspec's file system."""
        common: dict[str, Any] = {"use_listings_cache": False}
        if scheme == "abfs":
            return common
        if self.endpoint:
            common["endpoint_url"] = self.endpoint
        if scheme == "gs":
            return common
        config: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
        }
        if self.endpoint:  # not every server knows the checksums that Amazon's clients add
            config |= dict.fromkeys(
                ("request_checksum_calculation", "response_checksum_validation"), "when_required"
            )
        client = {"region_name": self.region, "verify": self.ca_bundle and str(self.ca_bundle)}
        return common | {
            "config_kwargs": config,
            "client_kwargs": {name: value for name, value in client.items() if value},
            "max_concurrency": 1,  # a request reads or writes it whole; more would ask for its size
        }


@dataclass(frozen=True)
class Found:
    """An object, or what objects below it make a folder."""

    is_folder: bool
    size: int
    """In bytes."""
    modified: float
    """By the server's clock, in whole seconds since 1970; 0 for a folder."""
    version: str
    """Another one for any other content, where the server tells."""


class Objects:
    """What is below one folder of a bucket.

    Args:
        url: ``s3://BUCKET/PATH``, without a slash at the end.
        access: how the server is reached.
        named: what a person corrects if the bucket is wrong, such as ``MEDLOOP_STORE``.
        refusal: the error that is raised then.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        *,
        named: str = "MEDLOOP_STORE",
        refusal: type[MedloopError] = SettingsError,
    ) -> None:
        self.url = url
        self._access = access
        self._named = named
        self._refusal = refusal
        self._scheme = urlsplit(url).scheme
        self._opened: tuple[int, AbstractFileSystem, str] | None = None
        self._can_create = False

    @property
    def where(self) -> str:
        """Whom is asked, for messages."""
        return self._access.endpoint or f"the server of {self._scheme}://"

    def look(self, path: str) -> Found | None:
        """An object, or the folder that objects below ``path`` make; ``None`` if there is none."""
        with self._reaching(path):
            try:
                return _found(self._files.info(self._key(path)))
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None

    def find(self, path: str) -> Found | None:
        """An object; ``None`` if there is none, or only objects below it."""
        found = self.look(path)
        return None if found is None or found.is_folder else found

    def list(self, path: str) -> dict[str, Found]:
        """Name → object or folder in a folder; empty if there is none."""
        key = self._key(path)
        with self._reaching(path):
            try:
                entries = self._files.ls(key, detail=True)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return {}
        names = [(str(entry["name"]).rstrip("/").rpartition("/"), entry) for entry in entries]
        # An object is listed as what it is itself; some tools leave one named as the folder.
        return {name: _found(entry) for (above, _, name), entry in names if above == key}

    def walk(self) -> dict[str, Found]:
        """Path → object, of all that there are."""
        with self._reaching(""):
            try:
                entries = self._files.find(self._key(""), detail=True)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return {}
        above = f"{self._key('')}/"
        found = {str(key): _found(entry) for key, entry in entries.items()}
        return {
            key.removeprefix(above): one
            for key, one in found.items()
            # Some tools leave an empty object named as a folder.
            if not (one.is_folder or key.endswith("/"))
        }

    def get(self, path: str) -> bytes:
        """The content of an object.

        Raises:
            NotFound: there is none.
        """
        with self._reaching(path):
            return cast(bytes, self._files.cat_file(self._key(path)))

    def put(self, path: str, data: bytes) -> None:
        """Write an object; readers find the old content or the new one."""
        with self._reaching(path):
            self._files.pipe_file(self._key(path), data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object if there is none; whether it was written.

        Raises:
            SettingsError: see `require_creation`.
        """
        self.require_creation()
        return self._create(path, data)

    def require_creation(self) -> None:
        """Make sure that the server does not create an object twice; tried once.

        Raises:
            SettingsError: it does, or another `refusal`.
        """
        if self._can_create:
            return
        probe = f".probe-{secrets.token_hex(8)}"
        try:
            twice = [self._create(probe, b"1"), self._create(probe, b"2")]
        finally:
            self.delete(probe)
        if twice != [True, False]:
            raise self._refusal(
                f"{self.where} does not honour `If-None-Match: *`: of two writers of one file, "
                f"both would believe that theirs is stored. {self.url} cannot be used. Use a "
                "server that does (Amazon S3, MinIO or Ceph in a recent release), or set "
                f"{self._named} to a folder of HDFS or of this machine (docs/stores.md)."
            )
        self._can_create = True

    def _create(self, path: str, data: bytes) -> bool:
        for _ in range(5):
            with self._reaching(path):
                try:
                    self._files.pipe_file(self._key(path), data, mode="create")
                    return True
                except FileExistsError:
                    return False
                except OSError as error:
                    if _code(error) not in CONFLICTS:
                        raise
        raise StoreUnavailable(f"{self.where} does not create {self.url}/{path}: it is contested.")

    def upload(self, local: Path, path: str) -> None:
        """Write an object from a local file, in parts if it is large; it appears whole."""
        with self._reaching(path):
            self._files.put_file(str(local), self._key(path))

    def open(self, path: str) -> BinaryIO:
        """Open an object for reading, at any position.

        Raises:
            NotFound: there is none.
        """
        with self._reaching(path):
            file = self._files.open(self._key(path), "rb", block_size=BLOCK_BYTES)
        return io.BufferedReader(_Raw(self, path, file), 1 << 16)

    def delete(self, path: str) -> None:
        """Delete an object, and all that are below it; silent about nothing."""
        key = self._key(path)
        with self._reaching(path):
            keys = list(self._files.find(key))
            patterns = [one for one in keys if PATTERN.search(one)]  # rm would look for matches
            for one in patterns:
                self._files.rm_file(one)
            if others := sorted(set(keys) - set(patterns)):
                self._files.rm(others)

    @property
    def _files(self) -> "AbstractFileSystem":
        return self._connected()[1]

    def _key(self, path: str) -> str:
        folder = self._connected()[2]
        return f"{folder}/{path}" if path else folder

    def _connected(self) -> tuple[int, "AbstractFileSystem", str]:
        # The client's threads do not live on in a forked process.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *self._connect())
        return self._opened

    def _connect(self) -> tuple["AbstractFileSystem", str]:
        import fsspec

        try:
            return cast(
                "tuple[AbstractFileSystem, str]",
                fsspec.url_to_fs(self.url, **self._access.options(self._scheme)),
            )
        except ImportError as error:
            raise self._refusal(
                f"{self._named}: {self.url} needs a client that is not installed. Install it "
                f"(uv sync --extra {self._scheme}, or pip install 'medloop[{self._scheme}]')."
            ) from error

    @contextmanager
    def _reaching(self, path: str) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except (MedloopError, *MISTAKES):
            raise
        except Exception as error:
            raise self._ours(error, f"{self.url}/{path}") from error

    def _require_bucket(self, error: FileNotFoundError) -> None:
        if _code(error) == "NoSuchBucket" or "bucket does not exist" in str(error).lower():
            bucket = urlsplit(self.url).netloc
            raise self._refusal(
                f"{self._named}: there is no bucket {bucket!r} at {self.where}. Create it, or "
                f"correct {self._named} or MEDLOOP_STORE_ENDPOINT."
            ) from error

    def _ours(self, error: Exception, url: str) -> MedloopError:
        if isinstance(error, FileNotFoundError):
            self._require_bucket(error)
            return NotFound(f"There is no {url}.")
        kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
        said = f"{type(error).__name__}: {error}"
        if _code(error) in OTHER_REGION:
            return self._refusal(
                f"{self.where} has {url} in another region ({said}). Set MEDLOOP_STORE_REGION."
            )
        is_refusal = isinstance(error, PermissionError) or _code(error) == "401"
        if is_refusal or any(word in kinds for word in REFUSALS):
            return self._refusal(
                f"{self.where} refuses {url} ({said}). Give the credentials of somebody who may "
                f"read and write there: {CREDENTIALS[self._scheme]}."
            )
        if "SSL" in kinds or "CERTIFICATE" in said.upper():
            return self._refusal(
                f"The certificate of {self.where} is not trusted ({said}). Set "
                "MEDLOOP_STORE_CA_BUNDLE to a file with the certificate of its authority."
            )
        return StoreUnavailable(
            f"{self.where} does not answer for {url} ({said}). Is it up, and is "
            "MEDLOOP_STORE_ENDPOINT its address?"
        )


class _Raw(io.RawIOBase):
    """The stream of an object, with errors of ours."""

    def __init__(self, objects: Objects, path: str, file: Any) -> None:
        self._objects, self._path = objects, path
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with self._objects._reaching(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        with self._objects._reaching(self._path):
            return cast(bytes, self._file.read())

    def close(self) -> None:
        self._file.close()
        super().close()


def _found(entry: dict[str, Any]) -> Found:
    """What fsspec reports, whatever the client calls it."""
    times = (entry.get(name) for name in ("LastModified", "mtime", "last_modified"))
    # A server may tell fractions of a second in a listing, and none of a single object.
    modified = next((when.timestamp() // 1 for when in times if isinstance(when, datetime)), 0.0)
    version = str(entry.get("ETag") or entry.get("etag") or "")
    return Found(entry["type"] == "directory", int(entry["size"] or 0), modified, version)


def _code(error: BaseException) -> str:
    """S3's code of an error, if it is one of S3's."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""
