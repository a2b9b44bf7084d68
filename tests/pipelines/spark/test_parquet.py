"""Parquet files of a store in a bucket, read and written by the executors' Python."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.spark import parquet
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.storage.s3_server import S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DDL = "sha256 string, content binary, later int, tags array<string>"


def test_files_of_a_bucket_are_read_and_written_a_task_for_some_row_groups(
    s3: S3Server, spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = s3.settings(tmp_path.name, home=tmp_path)
    context = Context(settings, open_store(settings))
    monkeypatch.setattr(parquet, "TASK_BYTES", 100)
    rows = [(f"{n:02}", b"content" * n, [f"tag {n}"]) for n in range(20)]
    names = ["sha256", "content", "tags"]
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    for name, part in (("a", table.slice(0, 8)), ("b", table.slice(8))):
        buffer = io.BytesIO()
        pq.write_table(part, buffer, row_group_size=3)
        context.store.write(f"d/packs/{name}.parquet", buffer.getvalue())

    uris = [context.store.uri(f"d/packs/{name}.parquet") for name in "ab"]
    frame = parquet.read(spark, context, DDL, uris)
    with context.store.commit("d/made/1") as staging:
        some = frame.where("sha256 != '03'").withColumnRenamed("later", "probability.later")
        parquet.write(some.repartition(2), context, f"{staging}/all")

    assert frame.rdd.getNumPartitions() == 7
    assert sorted(map(tuple, frame.collect())) == [(a, b, None, c) for a, b, c in rows]
    folder = "d/made/1/all"
    made = context.store.names(folder)
    assert made == ["part-00000.parquet", "part-00001.parquet"]
    ddl = "sha256 string, `probability.later` int"
    again = parquet.read(spark, context, ddl, [context.store.uri(f"{folder}/{n}") for n in made])
    assert sorted(row.sha256 for row in again.collect()) == [a for a, _, _ in rows if a != "03"]
