"""Many small files of samples into few: each file costs HDFS's NameNode memory, whatever it holds.

A merged file is placed before those it stands for are deleted, and names them, so a reader that
sees both counts each answer once. A process that is killed in between leaves nothing that the
next one does not clear away.
"""

import io
import json
import logging
import secrets
from collections.abc import Collection, Iterable, Iterator
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.monitoring.served import (
    MERGED,
    STANDS_FOR,
    files_of,
    merged_files,
    read_intact_file,
    served_folder,
    stands_for,
)
from pipelines.storage import Store

logger = logging.getLogger(__name__)

MERGED_BYTES = 96 << 20
"""Of samples in memory that go into one merged file: less than a block of HDFS."""


def compact(store: Store, dataset: str, day: date, *, judged: Collection[str]) -> int:
    """Merge a day's files, those of one model together.

    Args:
        store: where they are.
        dataset: whose they are.
        day: a day that is over.
        judged: names of its files that nobody needs under their own names any more.

    Returns:
        How many files were merged into others.

    Raises:
        Unavailable: the store does not answer; each answer still counts once.
    """
    _clear(store, dataset, day)
    folder = served_folder(dataset, day)
    small = [name for name in files_of(store, dataset, day) if name in judged]
    merged = 0
    for names, tables in _batches(store, folder, small):
        if len(names) > 1:
            _place(store, folder, names, tables)
            _delete(store, folder, names)
            merged += len(names)
    if merged:
        store.sweep(folder)  # what killed processes left of files they placed
        logger.info("%s: %d files of %s merged", dataset, merged, day)
    return merged


def _clear(store: Store, dataset: str, day: date) -> None:
    """Delete what merged files stand for, if it is there still."""
    folder, left = served_folder(dataset, day), set(files_of(store, dataset, day))
    if not left:
        return
    for name in merged_files(store, dataset, day):
        merged = read_intact_file(store, f"{folder}/{name}")
        if merged is not None:
            _delete(store, folder, left & stands_for(merged))


def _batches(
    store: Store, folder: str, names: Iterable[str]
) -> Iterator[tuple[list[str], list[pa.Table]]]:
    """Files of one model together, as many as make one merged file."""
    waiting: dict[object, tuple[list[str], list[pa.Table]]] = {}
    for name in names:
        table = read_intact_file(store, f"{folder}/{name}")
        if table is None or not table.num_rows:
            continue
        model = (
            table["run_id"][0].as_py(),
            table["model_version"][0].as_py(),
            tuple(table.column_names),
        )
        batch = waiting.setdefault(model, ([], []))
        batch[0].append(name)
        batch[1].append(table.replace_schema_metadata(None))
        if sum(part.nbytes for part in batch[1]) > MERGED_BYTES:
            yield waiting.pop(model)
    yield from waiting.values()


def _place(store: Store, folder: str, names: list[str], tables: list[pa.Table]) -> None:
    table = pa.concat_tables(tables).replace_schema_metadata({STANDS_FOR: json.dumps(names)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=False)
    store.place(f"{folder}/{MERGED}{secrets.token_hex(4)}.parquet", buffer.getvalue())


def _delete(store: Store, folder: str, names: Iterable[str]) -> None:
    for name in names:
        store.delete(f"{folder}/{name}")
