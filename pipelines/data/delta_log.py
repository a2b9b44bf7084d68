"""The logs of Delta tables: each commit is whole or absent, whoever else writes.

The `deltalake` library writes the log, and only this module imports it. A commit may carry a
revision: of several writers of one revision, on any machines, one succeeds. Statistics in the log
are of ``revision`` alone: the log outlives rows, and must not repeat what they say about patients.
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
"""How often a commit is tried that another writer has overtaken."""
REVISION = "revision"
NOTE = "medloop"
"""Field of a commit that holds what its writer says about it."""

_process: int | None = None
"""The process that has loaded `deltalake`."""


class RevisionTaken(Exception):
    """Another writer has committed this revision, or a later one."""


@dataclass(frozen=True)
class Part:
    """A Parquet file of a table's folder, as its writer reports it; not yet part of the table."""

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Log:
    """The log of one table; it is created by its first commit.

    Each method raises `StoreUnavailable` where the store does not answer, and `LayoutError` where
    another program has changed the table's protocol.
    """

    store: Store
    path: str
    """Folder of the table in the store."""
    schema: pa.Schema

    def revision(self) -> int:
        """The newest revision; 0 where none was committed."""
        return _revision_of(self._opened())

    def note(self) -> str:
        """What the last writer that left a note said; empty if it is no longer in the log."""
        delta = self._opened()
        for version in range(delta.version() if delta else -1, -1, -1):
            try:
                commit = self.store.read(f"{self.path}/_delta_log/{version:020}.json")
            except NotFound:
                break
            for line in map(json.loads, commit.splitlines()):
                if note := line.get("commitInfo", {}).get(NOTE):
                    return str(note)
        return ""

    def listed(self) -> pa.Table:
        """The files of the table: ``path``, ``size_bytes`` and, where one was committed with a
        revision, ``min.revision``."""
        delta = self._opened()
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
        only_all: bool = False,
    ) -> bool:
        """Remove and add files; those that are absent or there already are left out.

        Args:
            removed: names.
            added: files that are in the folder.
            revision: of the commit.
            note: kept with the commit until the log is cleaned up.
            only_all: commit nothing if one of ``removed`` is not part of the table any more.

        Returns:
            Whether the table is as asked for.

        Raises:
            RevisionTaken: another writer has committed this revision, or a later one.
            StoreUnavailable: the store does not answer, or others write all the time.
        """
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import AddAction, RemoveAction

        self.store.require_layout()
        for _ in range(ATTEMPTS):
            delta = self._opened() or self._created()
            if revision is not None and _revision_of(delta) >= revision:
                raise RevisionTaken(f"{self._uri} has revision {_revision_of(delta)}.")
            known = set(pa.table(delta.get_add_actions())["path"].to_pylist())
            if only_all and not known.issuperset(removed):
                return False
            now = int(time.time() * 1000)
            actions: list[AddAction | RemoveAction] = [
                AddAction(part.name, part.bytes, {}, now, True, _stats(part, revision))
                for part in added
                if part.name not in known
            ]
            actions += [RemoveAction(name, True, now) for name in removed if name in known]
            if not actions and revision is None:
                return True
            try:
                with reaching(self._uri):
                    delta.create_write_transaction(
                        actions, "append", delta.schema(), commit_properties=_said(revision, note)
                    )
                return True
            except CommitFailedError as error:
                logger.info("%s: another writer was first (%s)", self._uri, error)
        raise StoreUnavailable(f"Others write {self._uri} all the time; run the step again.")

    @property
    def _uri(self) -> str:
        return self.store.uri(self.path)

    def _opened(self) -> "DeltaTable | None":
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

    def _created(self) -> "DeltaTable":
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
            delta = self._opened()
            if delta is None:
                raise
            return delta  # another writer has just created it


def storage_options(store: Store) -> dict[str, str]:
    """What `deltalake` must know to reach a store.

    For S3 that includes credentials: the library does not look into ``~/.aws``, as our client does.
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
        _trust(access.ca_bundle)
    if access.region or access.endpoint:
        options["aws_region"] = access.region or "us-east-1"
    return options


def _trust(authorities: Path) -> None:
    """Add certificates to those that this process trusts: the library has no option for it.

    The system's folder is named too, because only what the variables name is trusted.
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


def _said(revision: int | None, note: str) -> "CommitProperties":
    from deltalake import CommitProperties, Transaction

    return CommitProperties(
        app_transactions=[Transaction(REVISION, revision)] if revision is not None else None,
        custom_metadata={NOTE: note} if note else None,
    )


def _require_one_process() -> None:
    """Refuse a fork of a process that has used `deltalake`: its threads are not there.

    Raises:
        RuntimeError: this process is one.
    """
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise RuntimeError(
            f"Process {_process} has used Delta tables, and process {os.getpid()} was forked from "
            "it, without the library's threads. Start processes with `spawn`."
        )


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Turn the library's errors about the store into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"A file of {uri} is gone ({error}). Run the step again.") from error
    except OSError as error:
        raise StoreUnavailable(f"{uri} cannot be reached: {error}") from error
