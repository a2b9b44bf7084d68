"""Small files of a table become large ones, so that reading it does not take longer with each
delivery."""

import logging

from pipelines.data.tables import PART_BYTES, Table

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
