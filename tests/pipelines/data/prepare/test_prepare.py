import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import imaging
from pipelines.data.input.shards import read_shards
from pipelines.data.prepare import prepare, sharding
from pipelines.errors import BadImage, NotFound
from pipelines.outputs import SPLITS, Prepared
from pipelines.settings import PROJECT, Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.staging import STAGING_PREFIX
from tests.pipelines.data.small_collection import (
    CLASSES,
    SIZE,
    Row,
    divided,
    images,
    small_spec,
    snapshotted,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def few_rows_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a shard, two a row group, so that a small collection has several."""
    monkeypatch.setattr(sharding, "SHARD_BYTES", 4 * SIZE * SIZE * 3)
    monkeypatch.setattr(sharding, "ROW_GROUP_BYTES", 2 * SIZE * SIZE * 3)


def prepared(context: Context, rows: list[Row]) -> Prepared:
    snapshot = snapshotted(context, rows)
    return prepare.run(small_spec(), context, snapshot, divided(context, snapshot, rows))


def table(context: Context, output: Prepared, name: str) -> pa.Table:
    return pq.read_table(io.BytesIO(context.store.read(f"{output.path}/{name}")))


def files(context: Context, output: Prepared) -> dict[str, bytes]:
    names = context.store.names(output.path)
    return {name: context.store.read(f"{output.path}/{name}") for name in names}


def folder(context: Context, output: Prepared) -> Path:
    return Path(context.store.uri(output.path).removeprefix("file://"))


@pytest.mark.usefixtures("few_rows_a_shard")
def test_each_split_holds_its_images_as_the_imaging_module_makes_them(context: Context) -> None:
    rows = images()
    output = prepared(context, rows)
    shards = read_shards(folder(context, output))
    assert shards.classes == CLASSES
    for name in SPLITS:
        expected = {row["source_path"]: row for row in rows if row["split"] == name}
        batches = list(shards.split(name).batches(3))
        assert sorted(path for batch in batches for path in batch.paths) == sorted(expected)
        for batch in batches:
            for pixels, label, sha256, path in zip(*batch, strict=True):
                row = expected[path]
                fitted = imaging.fit(imaging.decode(row["content"]), small_spec().image)
                np.testing.assert_array_equal(pixels, fitted)
                assert (CLASSES[label], sha256) == (row["label"], row["sha256"])
    assert output.rows == {"train": 12, "validation": 4, "test": 4}


@pytest.mark.usefixtures("few_rows_a_shard")
def test_shards_are_small_mixed_and_read_in_row_groups(context: Context) -> None:
    output = prepared(context, images())
    names = [n for n in context.store.names(output.path) if n.startswith("train-")]
    assert names == [f"train-{n:05}.parquet" for n in range(3)]
    labels = [x for name in names for x in table(context, output, name)["label"].to_pylist()]
    assert labels != sorted(labels)
    first = pq.ParquetFile(folder(context, output) / names[0])
    assert first.metadata.num_rows == 4
    assert first.metadata.num_row_groups == 2


@pytest.mark.usefixtures("few_rows_a_shard")
def test_the_same_images_give_the_same_bytes_however_spark_divides_them(
    context: Context, tmp_path: Path, spark: "SparkSession"
) -> None:
    rows = images()
    first = prepared(context, rows)
    elsewhere = Settings(home=tmp_path / "other", store=(tmp_path / "other").as_uri())
    other = Context(settings=elsewhere, store=open_store(elsewhere))
    spark.conf.set("spark.sql.files.maxPartitionBytes", "4k")
    try:
        second = prepared(other, rows[::-1])
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert second == first
    assert files(other, second) == files(context, first)


def test_a_second_run_does_nothing(context: Context) -> None:
    rows = images()
    first = prepared(context, rows)
    before = {path: path.stat().st_mtime_ns for path in folder(context, first).iterdir()}
    assert prepared(context, rows) == first
    assert {path: path.stat().st_mtime_ns for path in folder(context, first).iterdir()} == before


def test_another_image_size_gives_other_shards_beside_the_first(context: Context) -> None:
    rows = images()
    snapshot = snapshotted(context, rows)
    split = divided(context, snapshot, rows)
    first = prepare.run(small_spec(), context, snapshot, split)
    second = prepare.run(small_spec(image={"size": 64}), context, snapshot, split)
    assert second.id != first.id
    assert read_shards(folder(context, second)).size == 64


def test_copies_are_prepared_under_both_paths(context: Context) -> None:
    rows = images()
    rows.append({**rows[0], "source_path": "bright/copy.png"})
    output = prepared(context, rows)
    paths = table(context, output, "train-00000.parquet")["source_path"].to_pylist()
    assert {"bright/000.png", "bright/copy.png"} <= set(paths)


def test_images_in_no_split_are_left_out(context: Context) -> None:
    rows = images()
    rows[0] |= {"split": None, "excluded": "leak"}
    output = prepared(context, rows)
    assert output.rows["train"] == 11


def test_statistics_are_told_by_split_and_class(context: Context) -> None:
    rows = images()
    output = prepared(context, rows)
    stats = json.loads(files(context, output)["stats.json"])
    training = read_shards(folder(context, output)).split("train")
    [batch] = training.batches(100)
    assert stats["train"]["all"]["rows"] == 12
    assert stats["train"]["all"]["mean"] == pytest.approx(batch.images.mean((0, 1, 2)), abs=1e-3)
    assert stats["train"]["all"]["std"] == pytest.approx(batch.images.std((0, 1, 2)), abs=1e-3)
    bright, dark = (stats["test"]["classes"][name]["mean"][0] for name in CLASSES)
    assert bright > 150 > 60 > dark


def test_an_original_that_no_longer_decodes_is_named_and_nothing_appears(context: Context) -> None:
    rows = images()
    broken = rows[3]["content"][:-40]
    rows[3] |= {"content": broken, "sha256": hashlib.sha256(broken).hexdigest()}
    with pytest.raises(BadImage, match=r"bright/003\.png was accepted at landing but cannot"):
        prepared(context, rows)
    assert context.store.names("small/prepared") == []
    assert context.store.hidden("small/prepared") == []


def test_altered_bytes_are_found(context: Context) -> None:
    rows = images()
    rows[3]["content"] = rows[4]["content"]
    with pytest.raises(BadImage, match=r"bright/003\.png: its bytes in the snapshot") as caught:
        prepared(context, rows)
    assert caught.value.reason == "altered"


def test_a_split_of_other_images_is_refused(context: Context) -> None:
    rows = images()
    snapshot = snapshotted(context, rows[1:])
    split = divided(context, snapshot, rows)
    with pytest.raises(NotFound, match=r"1 images of .* are not in .*, such as bright/000\.png"):
        prepare.run(small_spec(), context, snapshot, split)


def test_an_index_that_promises_more_than_the_packs_hold_is_found(context: Context) -> None:
    rows = images()
    snapshot = snapshotted(context, rows)
    split = divided(context, snapshot, rows)
    snapshotted(context, rows[1:], identity="0002-b-less")
    with pytest.raises(NotFound, match=r"train-00000\.parquet got 11 of its 12 images"):
        prepare.run(small_spec(), context, snapshot, split)


KILLED = """
import sys
from pipelines.data.prepare import prepare, sharding
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import SIZE, divided, images, small_spec, snapshotted

sharding.SHARD_BYTES = SIZE * SIZE * 3
settings = Settings(home=sys.argv[1], store=sys.argv[2], spark="local[1]")
context = Context(settings=settings, store=open_store(settings))
rows = images(80)
snapshot = snapshotted(context, rows)
prepare.run(small_spec(), context, snapshot, divided(context, snapshot, rows))
"""


def test_a_killed_preparation_leaves_nothing_visible_and_the_next_one_completes(
    context: Context, tmp_path: Path
) -> None:
    arguments = [str(tmp_path / "killed"), context.store.uri("").rstrip("/")]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], cwd=PROJECT, start_new_session=True
    )
    staging = Path(context.store.uri("small/prepared").removeprefix("file://"))
    try:
        until = time.monotonic() + 120
        while not list(staging.glob(f"{STAGING_PREFIX}*/train-*")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert context.store.names("small/prepared") == []
    assert list(staging.glob(f"{STAGING_PREFIX}*/*.parquet"))
    rows = images(80)
    output = prepared(context, rows)
    assert sum(output.rows.values()) == len(rows)
    assert [path.name for path in staging.iterdir()] == [output.id]


def test_shards_are_made_in_hdfs_from_originals_in_hdfs(hdfs: Settings) -> None:
    context = Context(settings=hdfs, store=open_store(hdfs))
    rows = images()
    output = prepared(context, rows)
    assert sum(output.rows.values()) == len(rows)
    manifest = context.store.read_json(f"{output.path}/manifest.json")
    for name in SPLITS:
        for file in manifest["splits"][name]["files"]:
            assert context.store.size(f"{output.path}/{file['name']}") == file["bytes"]
            assert table(context, output, file["name"]).num_rows == file["rows"]
