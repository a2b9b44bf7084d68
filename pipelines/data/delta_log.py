"""The logs of Delta tables, with atomic commits.

The `deltalake` library writes the log; only this module imports it. A commit may have a revision:
if several writers commit the same revision, on any machines, one succeeds. The log has statistics
of ``revision`` only, because it outlives rows and must not contain values of patients.
"""

import json
import logging
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.errors import LayoutError, NotFound, StoreUnavailable
from pipelines.storage import Store
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""Attempts to commit while other writers commit."""
REVISION = "revision"
NOTE = "medloop"
"""Field of a commit with the note of its writer."""

_loaded_by: int | None = None
"""ID of the process that loaded `deltalake`."""


class RevisionTaken(Exception):
    """Another writer committed this revision, or a later one."""


@dataclass(frozen=True)
class Part:
    """A Parquet file in the folder of a table, not committed yet."""

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Log:
    """The log of one table; the first commit creates it.

    Each method raises `StoreUnavailable` if the store does not answer, and `LayoutError` if another
    program has changed the protocol of the table.
    """

    store: Store
    path: str
    """Folder of the table in the store."""
    schema: pa.Schema

    def revision(self) -> int:
        """The newest revision; 0 without commits."""
        return _revision_of(self._open())

    def note(self) -> str:
        """The newest note in the log; empty if there is none."""
        delta = self._open()
        for version in range(delta.version() if delta else -1, -1, -1):
            try:
                commit = self.store.read(f"{self.path}/_delta_log/{version:020}.json")
            except NotFound:
                break
            for line in map(json.loads, commit.splitlines()):
                if note := line.get("commitInfo", {}).get(NOTE):
                    return str(note)
        return ""

    def files(self) -> pa.Table:
        """The files of the table: ``path``, ``size_bytes`` and, with revisions,
        ``min.revision``."""
        delta = self._open()
        if delta is None:
            return pa.table(
                {"path": pa.array([], pa.string()), "size_bytes": pa.array([], "int64")}
            )
        return pa.table(delta.get_add_actions(flatten=True))

    def commit(
        self,
        removed: Sequence[str],
        added: Sequence[Part],
        *,
        revision: int | None = None,
        note: str = "",
        if_all_exist: bool = False,
    ) -> bool:
        """Remove and add files. Skips files to remove that are missing and files to add that exist.

        Args:
            removed: names.
            added: files in the folder.
            revision: revision of the commit.
            note: stored with the commit.
            if_all_exist: commit nothing unless all of ``removed`` are part of the table.

        Returns:
            Whether the table has the requested files.

        Raises:
            RevisionTaken: another writer committed this revision, or a later one.
            StoreUnavailable: the store does not answer, or all attempts failed.
        """
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import AddAction, RemoveAction

        self.store.require_layout()
        for _ in range(ATTEMPTS):
            delta = self._open() or self._create()
            if revision is not None and _revision_of(delta) >= revision:
                raise RevisionTaken(f"{self._uri} has revision {_revision_of(delta)}.")
            existing = set(pa.table(delta.get_add_actions())["path"].to_pylist())
            if if_all_exist and not existing.issuperset(removed):
                return False
            now = int(time.time() * 1000)
            actions: list[AddAction | RemoveAction] = [
                AddAction(part.name, part.bytes, {}, now, True, _stats(part, revision))
                for part in added
                if part.name not in existing
            ]
            actions += [RemoveAction(name, True, now) for name in removed if name in existing]
            if not actions and revision is None:
                return True
            try:
                with reaching(self._uri):
                    delta.create_write_transaction(
                        actions,
                        "append",
                        delta.schema(),
                        commit_properties=_properties(revision, note),
                    )
                return True
            except CommitFailedError as error:
                logger.info("%s: another writer committed first (%s)", self._uri, error)
        raise StoreUnavailable(f"Other processes keep writing {self._uri}. Run the step again.")

    @property
    def _uri(self) -> str:
        return self.store.uri(self.path)

    def _open(self) -> "DeltaTable | None":
        _require_one_process()
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            with reaching(self._uri):
                delta = DeltaTable(self._uri, storage_options=storage_options(self.store))
        except TableNotFoundError:
            return None
        reader = delta.protocol().min_reader_version
        if reader != 1:
            raise LayoutError(
                f"{self._uri} needs reader version {reader} of Delta Lake; Medloop's tables need 1."
                " Another program has changed it (deletion vectors, mapped columns). Only Medloop "
                "may write its tables: restore a backup that was taken before."
            )
        return delta

    def _create(self) -> "DeltaTable":
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        statistics = REVISION if REVISION in self.schema.names else ""
        try:
            with reaching(self._uri):
                return DeltaTable.create(
                    self._uri,
                    self.schema,
                    mode="error",
                    configuration={"delta.dataSkippingStatsColumns": statistics},
                    storage_options=storage_options(self.store),
                )
        except DeltaError:
            delta = self._open()
            if delta is None:
                raise
            return delta  # another writer created it


def storage_options(store: Store) -> dict[str, str]:
    """Options of `deltalake` to reach a store.

    For S3 they include credentials, because the library does not read ``~/.aws``.
    """
    if isinstance(store, HdfsStore):
        os.environ.setdefault("HADOOP_USER_NAME", store.user)
    if not (isinstance(store, ObjectStore) and store.root.startswith("s3://")):
        return {}
    from botocore.session import get_session

    access = store.access
    options = {"aws_conditional_put": "etag", "aws_s3_allow_unsafe_rename": "false"}
    if (found := get_session().get_credentials()) is not None:
        key = found.get_frozen_credentials()
        options |= {"aws_access_key_id": key.access_key, "aws_secret_access_key": key.secret_key}
        options |= {"aws_session_token": key.token} if key.token else {}
    if access.endpoint:
        http = str(access.endpoint.startswith("http://")).lower()
        options |= {"aws_endpoint": access.endpoint, "aws_allow_http": http}
    if access.ca_bundle:
        _add_certificates(access.ca_bundle)
    if access.region or access.endpoint:
        options["aws_region"] = access.region or "us-east-1"
    return options


def _add_certificates(authorities: Path) -> None:
    """Trust certificates in this process; the library has no option for them.

    The variables override the defaults, so the folder of the system is added too.
    """
    os.environ.setdefault("SSL_CERT_DIR", ssl.get_default_verify_paths().openssl_capath)
    os.environ.setdefault("SSL_CERT_FILE", str(authorities))


def _revision_of(delta: "DeltaTable | None") -> int:
    return (delta.transaction_version(REVISION) or 0) if delta else 0


def _stats(part: Part, revision: int | None) -> str:
    stats: dict[str, object] = {"numRecords": part.rows}
    if revision is not None:
        bounds = {REVISION: revision}
        stats |= {"minValues": bounds, "maxValues": bounds, "nullCount": {REVISION: 0}}
    return json.dumps(stats)


def _properties(revision: int | None, note: str) -> "CommitProperties":
    from deltalake import CommitProperties, Transaction

    return CommitProperties(
        app_transactions=[Transaction(REVISION, revision)] if revision is not None else None,
        custom_metadata={NOTE: note} if note else None,
    )


def _require_one_process() -> None:
    """Refuse forks of a process that has loaded `deltalake`: they lack its threads.

    Raises:
        RuntimeError: this process is a fork.
    """
    global _loaded_by
    _loaded_by = _loaded_by or os.getpid()
    if _loaded_by != os.getpid():
        raise RuntimeError(
            f"Process {_loaded_by} has used Delta tables, and process {os.getpid()} is a fork of "
            "it without the threads of the library. Start processes with `spawn`."
        )


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Translate errors of the library into errors of Medloop."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"A file of {uri} was deleted ({error}). Run the step again.") from error
    except OSError as error:
        raise StoreUnavailable(f"{uri} cannot be reached: {error}") from error
