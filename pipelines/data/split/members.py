"""The table ``splits``: which split each file is in, and since when.

A split is a revision of this table, as a snapshot is one of ``images``: for each file, the newest
row up to its number, which the split's manifest says. Only rows that a split changes are appended.
So the newest rows also say which images have ever been in a test set, whatever rule put them there.
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
SAID = ("label", "cluster", "source", "split", "excluded")
"""Columns of which a change makes a new row."""
SINCE = ("first_test", "first_training")
GONE = "gone"
LEARNT = ("train", "validation")


def members(context: Context, path: str, columns: Sequence[str]) -> pa.Table:
    """One row for each file of a split's snapshot, sorted by ``sha256`` and ``source_path``.

    Args:
        context: settings and store.
        path: of the split in the store, as outputs and models name it.
        columns: of `Member`.

    Raises:
        NotFound: the split is gone, or its rows are.
        StoreUnavailable: the store does not answer.
    """
    split = existing_output(context, path, Split)
    if split is None:
        raise NotFound(f"The split {context.store.uri(path)} is gone; split its snapshot again.")
    table = Table.open(context, split.dataset, Member)
    wanted = list(dict.fromkeys([*KEY, "revision", "excluded", *columns]))
    rows = newest(table.arrow(wanted, until=split.revision), KEY)
    if not rows.num_rows:
        raise NotFound(f"The tables of {split.dataset} do not hold the split {path}.")
    is_gone = pc.fill_null(pc.equal(rows["excluded"], GONE), False)
    return rows.filter(pc.invert(is_gone)).select(list(columns))


def known(table: Table, *, until: int) -> pd.DataFrame:
    """The newest row of each file that was ever divided, sorted by `KEY`."""
    columns = [*KEY, "revision", *SAID, *SINCE]
    frame: pd.DataFrame = newest(table.arrow(columns, until=until), KEY).to_pandas(
        types_mapper={pa.int32(): pd.Int32Dtype()}.get
    )
    return frame


def history(before: pd.DataFrame) -> pd.DataFrame:
    """What earlier splits did with each image: `SINCE`, null where never, by sha256."""
    return before.groupby("sha256")[list(SINCE)].min()


def append(
    table: Table, rows: pd.DataFrame, before: pd.DataFrame, *, revision: int, keep: bool = True
) -> int:
    """Append the rows of a split that differ from the newest ones.

    Args:
        table: ``splits``.
        rows: one row a file, columns `KEY` and `SAID`.
        before: the newest rows, as `known` returns them up to ``revision``.
        revision: of the newest rows.
        keep: whether images remember what splits before ``revision`` did with them.

    Returns:
        The number of the split: the next one, or ``revision`` where nothing has changed.

    Raises:
        RevisionTaken: another process has appended rows meanwhile; decide again.
        StoreUnavailable: the store does not answer.
    """
    number = revision + 1
    now, then = (table_.set_index(list(KEY)) for table_ in (rows, before))
    files = now.index.union(then.index)
    is_gone = ~files.isin(now.index)
    now, then = now[list(SAID)].reindex(files).astype({"source": "Int32"}), then.reindex(files)
    now.loc[is_gone, "excluded"] = GONE
    sha256 = files.get_level_values("sha256")
    first = history(before) if keep else history(before[:0])
    for since, names in zip(SINCE, (["test"], LEARNT), strict=True):
        is_in = sha256.isin(sha256[now["split"].isin(names)])
        earlier = first[since].reindex(sha256).set_axis(files).astype("Int32")
        now[since] = earlier.fillna(pd.Series(number, files, "Int32").where(is_in))
    differs = np.any([_differs(now[n], then[n]) for n in SAID], axis=0)
    differs |= np.any([now[n].isna() != then[n].isna() for n in SINCE], axis=0)
    if not differs.any():
        return revision
    schema = schema_of(Member)
    changed = now[differs].assign(revision=number).reset_index()[schema.names]
    made = pa.Table.from_pandas(changed, schema, preserve_index=False)
    table.append(made, revision=number)
    return number


def _differs(one: pd.Series, other: pd.Series) -> NDArray[np.bool_]:
    """Where two columns differ; null is like null."""
    same = (one == other).fillna(False).astype(bool) | (one.isna() & other.isna())
    return ~same.to_numpy(bool)
