"""Delta tables in the store: each commit is whole or absent, whoever else writes.

``<dataset>/tables/<name>/`` holds Parquet files, named by their sha256, and a log that lists
them. A list of files is the table: there are no partitions, deletion vectors or mapped columns, so
Spark, DuckDB and PyArrow need no Delta reader. Data files are written by the store's own client;
the `deltalake` library writes the log, and only this module imports it.

A commit may carry a revision. Of several writers of one revision, on any machines, one succeeds.
Statistics in the log are of ``revision`` alone: the log outlives rows, and must not repeat what
they say about patients.
"""

import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.data.rows import Row, ddl_of, schema_of
from pipelines.errors import LayoutError, NotFound, StoreUnavailable
from pipelines.spark import parquet
from pipelines.stage import Context
from pipelines.storage import Store
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore
from pipelines.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

PART_BYTES = 256 * 1000**2
"""Most bytes of Arrow data that `Table.append` writes into one file."""
AT_ONCE = 8
"""Files that are read at the same time."""
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
class Table:
    """A Delta table; nothing is created before the first rows are committed."""

    store: Store
    path: str
    """Folder in the store."""
    row: type[Row]

    @classmethod
    def open(cls, context: Context, dataset: str, row: type[Row], *, key: str = "") -> "Table":
        """The table of a row type.

        Args:
            context: settings and store.
            dataset: the data set.
            row: says the columns, and the name of the table.
            key: one of several tables of this type.
        """
        path = "/".join(part for part in (dataset, "tables", row.table, key) if part)
        return cls(context.store, path, row)

    @property
    def uri(self) -> str:
        """The folder, as Spark and DuckDB name it."""
        return self.store.uri(self.path)

    def revision(self) -> int:
        """The newest revision; 0 where none was committed.

        Raises:
            LayoutError: another program has changed the table's protocol.
            StoreUnavailable: the store does not answer.
        """
        return _revision_of(self._opened())

    def note(self) -> str:
        """What the last writer that left a note said with `append` or `register`; empty if it is no
        longer in the log."""
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

    def parts(self, *, below: int | None = None) -> list[str]:
        """Names of the files, sorted; only those smaller than ``below`` bytes, if given."""
        return self._parts(below=below)

    def files(self) -> list[str]:
        """URIs of the files, for Spark, DuckDB and executors, sorted."""
        return [f"{self.uri}/{name}" for name in self.parts()]

    def arrow(
        self,
        columns: Sequence[str],
        *,
        where: pc.Expression | None = None,
        until: int | None = None,
    ) -> pa.Table:
        """Columns of all rows, in no order.

        Args:
            columns: names.
            where: about these columns; rows to keep.
            until: the last revision to read; files of later ones are not opened.

        Raises:
            NotFound: a file was removed meanwhile; open the table again.
            StoreUnavailable: the store does not answer.
        """
        names = dict.fromkeys([*columns, *([] if until is None else [REVISION])])
        table = self.read(self._parts(until=until), list(names))
        if until is not None:
            table = table.filter(pc.field(REVISION) <= until)
        return (table if where is None else table.filter(where)).select(list(columns))

    def read(self, parts: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Columns (all, if none are named) of the rows of some files, in the order of the files;
        errors as of `arrow`."""
        whole = schema_of(self.row).remove_metadata()
        schema = whole if columns is None else pa.schema([whole.field(name) for name in columns])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tables = list(pool.map(partial(self._read, schema=schema), parts))
        return pa.concat_tables([schema.empty_table(), *tables])

    def _parts(self, *, until: int | None = None, below: int | None = None) -> list[str]:
        """Names of the files that may have rows up to a revision, and are smaller than a size."""
        delta = self._opened()
        if delta is None:
            return []
        added = pa.table(delta.get_add_actions(flatten=True))
        least = f"min.{REVISION}"
        if until is not None and least in added.column_names:
            later = pc.fill_null(pc.greater(added[least], until), False)
            added = added.filter(pc.invert(later))
        if below is not None:
            added = added.filter(pc.less(added["size_bytes"], below))
        return sorted(added["path"].to_pylist())

    def _read(self, part: str, *, schema: pa.Schema) -> pa.Table:
        """Columns of a file; null where it was written without them.

        The library's own reader is not used: its threads call Python, and end the process with an
        error if it exits at that moment.
        """
        path = f"{self.path}/{part}"
        with _reaching(self.uri):
            if isinstance(self.store, LocalStore):
                source = str(self.store.folder / path)
            else:
                source = pa.BufferReader(self.store.read(path))
            with pq.ParquetFile(source) as file:
                known = [name for name in schema.names if name in file.schema_arrow.names]
                table = file.read(known)
        for field in schema:
            if field.name not in known:
                nulls = pa.nulls(table.num_rows, field.type)
                table = table.append_column(field, nulls)
        return table.select(schema.names).cast(schema)

    def frame(self, spark: "SparkSession", context: Context, columns: Sequence[str]) -> "DataFrame":
        """Columns of all rows as a Spark frame; nothing is read yet."""
        ddl, files = ddl_of(self.row, columns), self.files()
        return parquet.read(spark, context, ddl, files) if files else spark.createDataFrame([], ddl)

    def append(self, rows: pa.Table, *, revision: int | None = None, note: str = "") -> None:
        """Write rows into files, and commit them.

        Args:
            rows: with the columns of the row type, in its order.
            revision: of the commit; raises where it, or a later one, exists.
            note: kept with the commit until the log is cleaned up; see `Table.note`.

        Raises:
            RevisionTaken: another writer was first. The files remain, and belong to nothing.
            StoreUnavailable: the store does not answer.
        """
        self.register(self.write_all(rows), revision=revision, note=note)

    def write_all(self, rows: pa.Table) -> list[Part]:
        """Write rows into as many files as they fill; see `write`."""
        rows = rows.cast(schema_of(self.row).remove_metadata())
        step = max(1, PART_BYTES * rows.num_rows // max(1, rows.nbytes))
        slices = [rows.slice(start, step) for start in range(0, rows.num_rows, step)]
        return [self.write(part) for part in slices]

    def write(self, rows: pa.Table) -> Part:
        """Write rows into a file that is not yet part of the table; the same rows give the same."""
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="zstd")
        content = buffer.getvalue()
        name = f"{hashlib.sha256(content).hexdigest()}.parquet"
        path = f"{self.path}/{name}"
        if not self.store.create(path, content):  # others may read it already
            self.store.set_modified(path, time.time())  # and prune must take it for new
        return Part(name, len(content), rows.num_rows)

    def register(
        self,
        parts: Sequence[Part],
        *,
        revision: int | None = None,
        note: str = "",
    ) -> None:
        """Commit files that are in the folder; arguments and errors as of `append`.

        A file that is part of the table already is left out, so a commit may be repeated.
        """
        self._commit([], parts, revision=revision, note=note)

    def replace(
        self, removed: Sequence[str], added: Sequence[Part], *, only_all: bool = False
    ) -> bool:
        """Put files in the place of others, in one commit.

        The files that are removed stay in the folder until ``medloop prune`` deletes them.

        Args:
            removed: names, as of `parts`; those that are not part of the table are left out.
            added: files in the folder.
            only_all: commit nothing if one of ``removed`` is not part of the table any more.

        Returns:
            Whether the table is as asked for.

        Raises:
            StoreUnavailable: the store does not answer, or others write all the time.
        """
        return self._commit(removed, added, revision=None, note="", only_all=only_all)

    def _commit(
        self,
        removed: Sequence[str],
        added: Sequence[Part],
        *,
        revision: int | None,
        note: str,
        only_all: bool = False,
    ) -> bool:
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import AddAction, RemoveAction

        self.store.require_layout()
        for _ in range(ATTEMPTS):
            delta = self._opened() or self._created()
            if revision is not None and _revision_of(delta) >= revision:
                raise RevisionTaken(f"{self.uri} has revision {_revision_of(delta)}.")
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
                with _reaching(self.uri):
                    delta.create_write_transaction(
                        actions, "append", delta.schema(), commit_properties=_said(revision, note)
                    )
                return True
            except CommitFailedError as error:
                logger.info("%s: another writer was first (%s)", self.uri, error)
        raise StoreUnavailable(f"Others write {self.uri} all the time; run the step again.")

    def _opened(self) -> "DeltaTable | None":
        _require_one_process()
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            with _reaching(self.uri):
                delta = DeltaTable(self.uri, storage_options=storage_options(self.store))
        except TableNotFoundError:
            return None
        reader = delta.protocol().min_reader_version
        if reader != 1:
            raise LayoutError(
                f"{self.uri} needs reader version {reader} of Delta Lake; Medloop's tables need 1. "
                "Another program has changed it (deletion vectors, mapped columns). Only Medloop "
                "may write its tables: restore a backup that was taken before."
            )
        return delta

    def _created(self) -> "DeltaTable":
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        schema = schema_of(self.row)
        statistics = REVISION if REVISION in schema.names else ""
        try:
            with _reaching(self.uri):
                return DeltaTable.create(
                    self.uri,
                    schema,
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
    if access.region or access.endpoint:
        options["aws_region"] = access.region or "us-east-1"
    return options


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
def _reaching(uri: str) -> Iterator[None]:
    """Turn the library's errors about the store into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"A file of {uri} is gone ({error}). Run the step again.") from error
    except OSError as error:
        raise StoreUnavailable(f"{uri} cannot be reached: {error}") from error
