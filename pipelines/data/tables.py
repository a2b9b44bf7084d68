"""Delta tables in the store: typed rows, read as Arrow and Spark, appended in commits.

``<dataset>/tables/<name>/`` holds Parquet files, named by their sha256, and a log that lists
them (`pipelines.data.delta_log`). A list of files is the table: there are no partitions, deletion
vectors or mapped columns, so Spark, DuckDB and PyArrow need no Delta reader. Data files are written
by the store's own client.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.data.delta_log import REVISION, Log, Part, RevisionTaken, reaching
from pipelines.data.parquet_files import parquet_of
from pipelines.data.rows import Row, ddl_of, schema_of
from pipelines.spark import parquet
from pipelines.stage import Context
from pipelines.storage import Store
from pipelines.storage.local import LocalStore

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["PART_BYTES", "Part", "RevisionTaken", "Table"]

PART_BYTES = 256 * 1000**2
"""Most bytes of Arrow data that `Table.append` writes into one file."""
AT_ONCE = 8
"""Files that are read at the same time."""


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

    @property
    def _log(self) -> Log:
        return Log(self.store, self.path, schema_of(self.row))

    def revision(self) -> int:
        """The newest revision; 0 where none was committed.

        Raises:
            LayoutError: another program has changed the table's protocol.
            StoreUnavailable: the store does not answer.
        """
        return self._log.revision()

    def note(self) -> str:
        """What the last writer that left a note said with `append` or `register`; empty if it is no
        longer in the log."""
        return self._log.note()

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
        added = self._log.listed()
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
        with reaching(self.uri):
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
        content = parquet_of(rows)
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
        self._log.commit([], parts, revision=revision, note=note)

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
        return self._log.commit(removed, added, only_all=only_all)


logger = logging.getLogger(__name__)

SMALL_BYTES = PART_BYTES // 8
MOST_SMALL = 32
"""Small files from which they are merged: each delivery adds one."""


def compact(table: Table) -> int:
    """Put the rows of small files into large ones, once there are `MOST_SMALL`.

    Whoever reads the table meanwhile finds the small files where they were; ``medloop prune``
    removes them after a day.

    Returns:
        How many files were merged; 0 where there are few, or where another process was first.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    small = table.parts(below=SMALL_BYTES)
    if len(small) < MOST_SMALL:
        return 0
    rows = table.read(small)
    if not table.replace(small, table.write_all(rows), only_all=True):
        return 0
    logger.info("%s: %d small files were merged", table.uri, len(small))
    return len(small)
