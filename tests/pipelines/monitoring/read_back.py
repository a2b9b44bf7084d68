"""All samples of a day, read as the monitor reads single files."""

from datetime import date

import pyarrow as pa

from pipelines.errors import NotFound
from pipelines.monitoring.served import _parquet, columns, read_file, served_folder, stands_for
from pipelines.storage import Store


def read_samples(store: Store, dataset: str, day: date) -> pa.Table:
    """All samples of a day; columns that a model's file lacks (other classes) are null.

    Returns:
        A table of the columns of `columns`; without rows if there are none.
    """
    folder = served_folder(dataset, day)
    tables: dict[str, pa.Table] = {}
    while missing := set(_parquet(store, dataset, day)) - tables.keys():
        for name in missing:
            try:
                tables[name] = read_file(store, f"{folder}/{name}")
            except NotFound:  # merged since it was listed: the list has changed
                break
    replaced = {name for table in tables.values() for name in stands_for(table)}
    counted = [tables[name] for name in sorted(tables.keys() - replaced)]
    bare = [table.replace_schema_metadata(None) for table in counted]
    return pa.concat_tables([columns(()).empty_table(), *bare], promote_options="default")
