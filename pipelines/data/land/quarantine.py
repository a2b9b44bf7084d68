"""The table ``quarantine``: refused files, each with its reason.

If the image of a refused file could be decoded, its original is in a pack, and ``medloop restore``
returns it. Any other file may contain a patient's name (DICOM that cannot be de-identified, an
archive, a text, a damaged file), so it is listed but not stored. ``medloop locate`` prints the path
of a file whose name was replaced.
"""

from datetime import UTC, datetime
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import spreadsheet
from pipelines.data.land.landing import COPY
from pipelines.data.rows import Refused, schema_of
from pipelines.data.tables import Table
from pipelines.outputs import Landing
from pipelines.stage import Context

COLUMNS = ("source_path", "reason", "message", "landing_label", "bytes", "sha256", "copied")
KEY = ("source_path", "reason", "sha256")
"""Columns that identify a refusal: landing the same folder again adds none."""
NO_SHA256 = ""
"""Value of a missing sha256 in a key."""


def append(context: Context, landing: Landing, listed: pa.Table, originals: pa.Table) -> str | None:
    """Add the refused files of a landing to the table.

    Args:
        context: settings and store.
        landing: the landing.
        listed: its ``files.parquet``.
        originals: ``facts``, ``pack`` and ``row`` of the data set's originals.

    Returns:
        Store path of the table; ``None`` if nothing was refused.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    is_refused = pc.and_(pc.is_valid(listed["reason"]), pc.not_equal(listed["reason"], COPY))
    refused = listed.filter(is_refused)
    if not len(refused):
        return None
    table = Table.open(context, landing.dataset, Refused)
    known = _keys(table.arrow(KEY))
    refused = refused.filter(pc.invert(pc.is_in(_keys(refused), value_set=known)))
    if len(refused):
        at = pc.index_in(refused["facts"], value_set=originals["facts"].combine_chunks())
        packs = originals.select(["pack", "row"]).take(at)
        always = {"landing": landing.id, "arrived": datetime.now(UTC)}
        schema = schema_of(Refused).remove_metadata()
        columns = {name: refused[name] for name in schema.names if name in refused.column_names}
        columns |= {name: packs[name] for name in packs.column_names}
        columns |= {name: pa.array([value] * len(refused)) for name, value in always.items()}
        columns["patient"] = refused["group"]
        table.append(pa.table({name: columns[name] for name in schema.names}).cast(schema))
    return table.path


def _keys(rows: pa.Table) -> pa.ChunkedArray:
    """The key of each row, as one text."""
    texts = [pc.fill_null(rows[name], NO_SHA256) for name in KEY]
    return pc.binary_join_element_wise(*texts, "\0").combine_chunks()


def write(context: Context, dataset: str, file: TextIO) -> None:
    """Write the table as CSV, sorted by path.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    table = Table.open(context, dataset, Refused)
    rows = table.arrow([*COLUMNS[:-1], "pack"]).sort_by("source_path")
    listed = (row | {"copied": row["pack"] is not None} for row in rows.to_pylist())
    spreadsheet.write_csv(file, COLUMNS, listed)
