"""Layout 2 → 3 of a store: ``split.parquet`` of each split becomes rows of the table ``splits``.

The manifests, and what else is in the folders of splits, stay. Of several splits, the one of the
newest snapshot says what images have been used for: its test images stay test images.
"""

import json
import logging
from collections.abc import Iterator

from pipelines.data.parquet_files import read_table
from pipelines.data.revisions import number_of
from pipelines.data.rows import Member
from pipelines.data.split.members import KEY, VALUES, append, newest_rows
from pipelines.data.tables import RevisionTaken, Table
from pipelines.errors import NotFound
from pipelines.stage import MANIFEST
from pipelines.storage import Store

logger = logging.getLogger(__name__)

FILE = "split.parquet"


def migrate(store: Store) -> None:
    """Bring the splits of every data set into its table; may be killed and repeated at will.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    for dataset in store.names(""):
        table = Table(store, f"{dataset}/tables/{Member.table}", Member)
        for path in list(_in_order(store, dataset)):
            _import(store, table, path)


def _import(store: Store, table: Table, path: str) -> None:
    try:
        rows = read_table(store, f"{path}/{FILE}").to_pandas()
    except NotFound:
        return  # imported by a process that was killed, or by another one
    rows = rows.rename(columns={"group": "cluster"}).reindex(columns=[*KEY, *VALUES])
    while True:
        revision = table.revision()  # before the manifest: another process may write both
        manifest = store.read_json(f"{path}/{MANIFEST}")
        if manifest["output"].get("revision"):
            break
        try:
            number = append(
                table, rows, newest_rows(table, until=revision), revision=revision, keep=False
            )
        except RevisionTaken:
            logger.info("%s: another process imports splits, too", table.uri)
            continue
        manifest["output"]["revision"] = number
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
        store.overwrite(f"{path}/{MANIFEST}", text.encode() + b"\n")
    store.delete(f"{path}/{FILE}")


def _in_order(store: Store, dataset: str) -> Iterator[str]:
    """Paths of a data set's splits, those of the oldest snapshot first."""
    found = []
    for name in store.names(f"{dataset}/splits"):
        path = f"{dataset}/splits/{name}"
        if store.exists(f"{path}/{MANIFEST}"):
            snapshot = str(store.read_json(f"{path}/{MANIFEST}")["output"]["snapshot"])
            number = number_of(snapshot.rpartition("/")[2])
            found.append((number, store.modified(f"{path}/{MANIFEST}"), path))
    yield from (path for *_, path in sorted(found))
