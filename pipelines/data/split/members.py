"""The table ``splits``: the split of each file, and its earlier use.

A split is a revision of this table, as a snapshot is one of ``images``: for each file, the newest
row up to the number in the split's manifest. Only changed rows are appended. The newest rows also
show which images have ever been in a test set.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.data.revisions import newest
from pipelines.data.rows import Member, schema_of
from pipelines.data.tables import Table
from pipelines.errors import NotFound
from pipelines.outputs import Split
from pipelines.stage import Context, existing_output

KEY = ("sha256", "source_path")
VALUES = ("label", "cluster", "source", "split", "excluded")
"""Columns; a change appends a row."""
SINCE = ("first_test", "first_training")
REMOVED = "gone"
TRAINED = ("train", "validation")


def members(context: Context, path: str, columns: Sequence[str]) -> pa.Table:
    """One row for each file of a split's snapshot, sorted by ``sha256`` and ``source_path``.

    Args:
        context: settings and store.
        path: store path of the split.
        columns: of `Member`.

    Raises:
        NotFound: the split or its rows do not exist.
        StoreUnavailable: the store does not answer.
    """
    split = existing_output(context, path, Split)
    if split is None:
        raise NotFound(
            f"The split {context.store.uri(path)} does not exist. Split its snapshot again."
        )
    table = Table.open(context, split.dataset, Member)
    wanted = list(dict.fromkeys([*KEY, "revision", "excluded", *columns]))
    rows = newest(table.arrow(wanted, until=split.revision), KEY)
    if not rows.num_rows:
        raise NotFound(f"The tables of {split.dataset} do not hold the split {path}.")
    is_removed = pc.fill_null(pc.equal(rows["excluded"], REMOVED), False)
    return rows.filter(pc.invert(is_removed)).select(list(columns))


def newest_rows(table: Table, *, until: int) -> pd.DataFrame:
    """The newest row of each file, sorted by `KEY`."""
    columns = [*KEY, "revision", *VALUES, *SINCE]
    frame: pd.DataFrame = newest(table.arrow(columns, until=until), KEY).to_pandas(
        types_mapper={pa.int32(): pd.Int32Dtype()}.get
    )
    return frame


def history(before: pd.DataFrame) -> pd.DataFrame:
    """Earlier use of each image, by sha256: `SINCE`, null if never."""
    return before.groupby("sha256")[list(SINCE)].min()


def append(
    table: Table, rows: pd.DataFrame, before: pd.DataFrame, *, revision: int, keep: bool = True
) -> int:
    """Append the rows of a split that differ from the newest ones.

    Args:
        table: ``splits``.
        rows: one row per file, columns `KEY` and `VALUES`.
        before: the newest rows, from `newest_rows`.
        revision: of the newest rows.
        keep: whether to keep the earlier use of images.

    Returns:
        The number of the split: the next one, or ``revision`` if nothing changed.

    Raises:
        RevisionTaken: another process appended rows meanwhile; decide again.
        StoreUnavailable: the store does not answer.
    """
    number = revision + 1
    now, then = (table_.set_index(list(KEY)) for table_ in (rows, before))
    files = now.index.union(then.index)
    is_removed = ~files.isin(now.index)
    now, then = now[list(VALUES)].reindex(files).astype({"source": "Int32"}), then.reindex(files)
    now.loc[is_removed, "excluded"] = REMOVED
    sha256 = files.get_level_values("sha256")
    first = history(before) if keep else history(before[:0])
    for since, names in zip(SINCE, (["test"], TRAINED), strict=True):
        is_in = sha256.isin(sha256[now["split"].isin(names)])
        earlier = first[since].reindex(sha256).set_axis(files).astype("Int32")
        now[since] = earlier.fillna(pd.Series(number, files, "Int32").where(is_in))
    differs = np.any([_differs(now[n], then[n]) for n in VALUES], axis=0)
    differs |= np.any([now[n].isna() != then[n].isna() for n in SINCE], axis=0)
    if not differs.any():
        return revision
    schema = schema_of(Member)
    changed = now[differs].assign(revision=number).reset_index()[schema.names]
    made = pa.Table.from_pandas(changed, schema, preserve_index=False)
    table.append(made, revision=number)
    return number


def _differs(one: pd.Series, other: pd.Series) -> NDArray[np.bool_]:
    """Where two columns differ; null equals null."""
    same = (one == other).fillna(False).astype(bool) | (one.isna() & other.isna())
    return ~same.to_numpy(bool)
