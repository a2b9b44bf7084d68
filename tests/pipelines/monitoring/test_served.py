"""Samples of what the service answered, in a local store and in a real HDFS."""

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.monitoring.samples import divided
from pipelines.monitoring.served import write_file
from pipelines.storage import Store
from tests.pipelines.monitoring.read_back import read_samples
from tests.pipelines.monitoring.samples import NOON, SECOND, sample

DAY = date(2026, 3, 1)


def test_what_is_written_reads_back_the_same(store: Store) -> None:
    path = write_file(store, [sample(0), sample(1)])
    assert path.startswith("tiny/served/2026-03-01/120000-")
    assert read_samples(store, "tiny", DAY).to_pylist() == [
        {
            "request_id": f"{number:016x}",
            "time": NOON,
            "model_version": 1,
            "run_id": "run-1",
            "predicted": "a",
            "abstained": number == 1,
            "features": [number, number + 1, number + 2, number + 3],
            "mean": 100.5,
            "std": 20.25,
            "width": 60,
            "height": 40,
            "sha256": f"{number:064x}",
            "probability.a": 0.75,
            "probability.b": 0.25,
        }
        for number in range(2)
    ]


def test_files_of_several_models_read_as_one_table(store: Store) -> None:
    for group in divided([sample(0), sample(1, SECOND), sample(2)]):
        write_file(store, group)
    rows = read_samples(store, "tiny", DAY).sort_by("request_id").to_pylist()
    assert [row["model_version"] for row in rows] == [1, 2, 1]
    assert [row["probability.b"] for row in rows] == [0.25, None, 0.25]
    assert [row["probability.c"] for row in rows] == [None, 0.25, None]


def test_each_day_and_model_has_a_file_of_its_own() -> None:
    late = NOON + timedelta(days=1)
    samples = [sample(0), sample(1, SECOND), sample(2), sample(3, time=late)]
    assert [[int(s.request_id, 16) for s in group] for group in divided(samples)] == [
        [0, 2],
        [1],
        [3],
    ]


def test_a_day_without_samples_is_an_empty_table_of_the_same_columns(store: Store) -> None:
    table = read_samples(store, "tiny", DAY)
    assert table.num_rows == 0
    assert {"request_id", "features", "mean"} <= set(table.column_names)


def test_a_file_from_before_a_column_was_there_reads_with_nulls(store: Store) -> None:
    path = write_file(store, [sample(0)])
    table = pq.read_table(pa.BufferReader(store.read(path))).drop_columns(["sha256"])
    older = pa.BufferOutputStream()
    pq.write_table(table, older)
    store.write(path, older.getvalue().to_pybytes())
    write_file(store, [sample(1)])
    rows = read_samples(store, "tiny", DAY).sort_by("request_id").to_pylist()
    assert [row["sha256"] for row in rows] == [None, f"{1:064x}"]
