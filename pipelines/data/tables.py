"""Delta tables in the store: typed rows, read with Arrow and Spark, appended by commits.

``<dataset>/tables/<name>/`` has Parquet files, named by their sha256, and a log that lists them
(`pipelines.data.delta_log`). Tables have no partitions, deletion vectors or mapped columns, so
Spark, DuckDB and PyArrow can read the listed files without a Delta reader. The client of the store
writes the files.
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
READ_THREADS = 8
"""Files that are read in parallel."""


@dataclass(frozen=True)
class Table:
    """A Delta table; the first commit creates it."""

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
            row: row type, with columns and name of the table.
            key: distinguishes several tables of this type.
        """
        path = "/".join(part for part in (dataset, "tables", row.table, key) if part)
        return cls(context.store, path, row)

    @property
    def uri(self) -> str:
        """URI of the folder, for Spark and DuckDB."""
        return self.store.uri(self.path)

    @property
    def _log(self) -> Log:
        return Log(self.store, self.path, schema_of(self.row))

    def revision(self) -> int:
        """The newest revision; 0 without commits.

        Raises:
            LayoutError: another program has changed the protocol of the table.
            StoreUnavailable: the store does not answer.
        """
        return self._log.revision()

    def note(self) -> str:
        """The newest note of `append` or `register`; empty if it is no longer in the log."""
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
            where: condition on these columns.
            until: last revision to read; files of later ones are not opened.

        Raises:
            NotFound: a file was deleted meanwhile; open the table again.
            StoreUnavailable: the store does not answer.
        """
        names = dict.fromkeys([*columns, *([] if until is None else [REVISION])])
        table = self.read(self._parts(until=until), list(names))
        if until is not None:
            table = table.filter(pc.field(REVISION) <= until)
        return (table if where is None else table.filter(where)).select(list(columns))

    def read(self, parts: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Columns (by default all) of some files, in the order of the files; errors as of
        `arrow`."""
        whole = schema_of(self.row).remove_metadata()
        schema = whole if columns is None else pa.schema([whole.field(name) for name in columns])
        with ThreadPoolExecutor(READ_THREADS) as pool:
            tables = list(pool.map(partial(self._read, schema=schema), parts))
        return pa.concat_tables([schema.empty_table(), *tables])

    def _parts(self, *, until: int | None = None, below: int | None = None) -> list[str]:
        """Names of the files that may have rows up to a revision and are smaller than a size."""
        added = self._log.files()
        min_column = f"min.{REVISION}"
        if until is not None and min_column in added.column_names:
            later = pc.fill_null(pc.greater(added[min_column], until), False)
            added = added.filter(pc.invert(later))
        if below is not None:
            added = added.filter(pc.less(added["size_bytes"], below))
        return sorted(added["path"].to_pylist())

    def _read(self, part: str, *, schema: pa.Schema) -> pa.Table:
        """Columns of a file; null if the file lacks them.

        Does not use the reader of `deltalake`: its threads call Python, and crash the process if it
        exits meanwhile.
        """
        path = f"{self.path}/{part}"
        with reaching(self.uri):
            if isinstance(self.store, LocalStore):
                source = str(self.store.folder / path)
            else:
                source = pa.BufferReader(self.store.read(path))
            with pq.ParquetFile(source) as file:
                existing = [name for name in schema.names if name in file.schema_arrow.names]
                table = file.read(existing)
        for field in schema:
            if field.name not in existing:
                nulls = pa.nulls(table.num_rows, field.type)
                table = table.append_column(field, nulls)
        return table.select(schema.names).cast(schema)

    def frame(self, spark: "SparkSession", context: Context, columns: Sequence[str]) -> "DataFrame":
        """Columns of all rows as a lazy Spark frame."""
        ddl, files = ddl_of(self.row, columns), self.files()
        return parquet.read(spark, context, ddl, files) if files else spark.createDataFrame([], ddl)

    def append(self, rows: pa.Table, *, revision: int | None = None, note: str = "") -> None:
        """Write rows into files and commit them.

        Args:
            rows: with the columns of the row type, in its order.
            revision: revision of the commit; must be newer than all others.
            note: stored with the commit; see `Table.note`.

        Raises:
            RevisionTaken: another writer was first. The files stay, but are not part of the table.
            StoreUnavailable: the store does not answer.
        """
        self.register(self.write_all(rows), revision=revision, note=note)

    def write_all(self, rows: pa.Table) -> list[Part]:
        """Write rows into as many files as needed; see `write`."""
        rows = rows.cast(schema_of(self.row).remove_metadata())
        step = max(1, PART_BYTES * rows.num_rows // max(1, rows.nbytes))
        slices = [rows.slice(start, step) for start in range(0, rows.num_rows, step)]
        return [self.write(part) for part in slices]

    def write(self, rows: pa.Table) -> Part:
        """Write rows into a file without committing it; the same rows give the same file."""
        content = parquet_of(rows)
        name = f"{hashlib.sha256(content).hexdigest()}.parquet"
        path = f"{self.path}/{name}"
        if not self.store.create(path, content):  # never replace it: others may read it
            self.store.set_modified(path, time.time())  # prune must see it as new
        return Part(name, len(content), rows.num_rows)

    def register(
        self,
        parts: Sequence[Part],
        *,
        revision: int | None = None,
        note: str = "",
    ) -> None:
        """Commit files of the folder; arguments and errors as of `append`.

        Skips files that are part of the table, so the call can be repeated.
        """
        self._log.commit([], parts, revision=revision, note=note)

    def replace(
        self, removed: Sequence[str], added: Sequence[Part], *, if_all_exist: bool = False
    ) -> bool:
        """Replace files in one commit.

        Removed files stay in the folder until ``medloop prune`` deletes them.

        Args:
            removed: names from `parts`; skips those that are not part of the table.
            added: files in the folder.
            if_all_exist: commit nothing unless all of ``removed`` are part of the table.

        Returns:
            Whether the table has the requested files.

        Raises:
            StoreUnavailable: the store does not answer, or other writers kept committing.
        """
        return self._log.commit(removed, added, if_all_exist=if_all_exist)


logger = logging.getLogger(__name__)

SMALL_BYTES = PART_BYTES // 8
MOST_SMALL = 32
"""Number of small files that starts a merge; each delivery adds one."""


def compact(table: Table) -> int:
    """Merge small files into large ones, once there are `MOST_SMALL`.

    Running readers still find the small files; ``medloop prune`` removes them after a day.

    Returns:
        Number of merged files; 0 if there are few, or if another process was first.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    small = table.parts(below=SMALL_BYTES)
    if len(small) < MOST_SMALL:
        return 0
    rows = table.read(small)
    if not table.replace(small, table.write_all(rows), if_all_exist=True):
        return 0
    logger.info("%s: %d small files were merged", table.uri, len(small))
    return len(small)
