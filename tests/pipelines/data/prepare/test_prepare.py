import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines import decoding, imaging
from pipelines.data.input.cache import fetch
from pipelines.data.prepare import prepare
from pipelines.data.prepare.listings import IDENTITY, listed
from pipelines.errors import BadImage, NotFound
from pipelines.outputs import SPLITS, Prepared
from pipelines.settings import PROJECT, Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.storage import open_store
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
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a part, so that a small collection has several."""
    monkeypatch.setattr(prepare, "PART_BYTES", 4 * SIZE * SIZE * 3)


def prepared(
    context: Context, rows: list[Row], *, spec: DatasetSpec | None = None, identity: str = "0002-b"
) -> Prepared:
    snapshot = snapshotted(context, rows, identity=identity)
    split = divided(context, snapshot, rows, identity=identity)
    return prepare.run(spec or small_spec(), context, snapshot, split)


def files(context: Context, path: str) -> dict[str, bytes]:
    return {file: context.store.read(file) for file in context.store.walk(path)}


def prepared_once(context: Context, output: Prepared) -> pd.DataFrame:
    """Every image that executors have ever prepared in the folder, listed once."""
    folder = f"{output.images}/listings"
    listings = [context.store.read(f"{folder}/{name}") for name in context.store.names(folder)]
    rows: pd.DataFrame = pd.concat([pq.read_table(io.BytesIO(one)).to_pandas() for one in listings])
    assert not rows.duplicated(IDENTITY).any()
    return rows


@pytest.mark.usefixtures("small_parts")
def test_each_split_holds_its_images_as_the_imaging_module_makes_them(context: Context) -> None:
    rows = images()
    output = prepared(context, rows)
    data = fetch(context, output)
    assert data.classes == CLASSES
    for name in SPLITS:
        expected = {row["source_path"]: row for row in rows if row["split"] == name}
        batches = list(data.split(name).batches(3))
        assert sorted(path for batch in batches for path in batch.paths) == sorted(expected)
        for batch in batches:
            for pixels, label, sha256, path in zip(*batch, strict=True):
                row = expected[path]
                fitted = imaging.fit(imaging.decode(row["content"]), small_spec().image)
                np.testing.assert_array_equal(pixels, fitted)
                assert (CLASSES[label], sha256) == (row["label"], row["sha256"])
    assert output.rows == {"train": 12, "validation": 4, "test": 4}
    assert len(context.store.names(f"{output.images}/parts")) == 5


def test_a_training_set_is_mixed_and_another_seed_gives_another_order(context: Context) -> None:
    rows = images()
    one = fetch(context, prepared(context, rows)).split("train").column("sha256").tolist()
    reseeded = small_spec(split={"seed": 3})
    other = fetch(context, prepared(context, rows, spec=reseeded)).split("train")
    assert one != sorted(one)
    assert one != other.column("sha256").tolist()
    assert sorted(one) == sorted(other.column("sha256"))


@pytest.mark.usefixtures("small_parts")
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
    for path in (first.path, first.images):
        assert files(other, path) == files(context, path)


def test_a_delivery_prepares_only_its_own_images_and_gives_the_same_training_set(
    context: Context, tmp_path: Path
) -> None:
    rows = images()
    at_once = prepared(context, rows)
    elsewhere = Settings(home=tmp_path / "other", store=(tmp_path / "other").as_uri())
    other = Context(settings=elsewhere, store=open_store(elsewhere))
    first = prepared(other, rows[::2], identity="0002-a")
    sent = prepared_once(other, first)
    before = files(other, first.images)

    both = prepared(other, rows)

    assert sorted(sent["sha256"]) == sorted(row["sha256"] for row in rows[::2])
    new = set(files(other, both.images)) - set(before)
    assert {name: files(other, both.images)[name] for name in before} == before
    assert len(new) == 2, "one part and its listing"
    assert len(prepared_once(other, both)) == len(rows)
    assert (both.id, both.images) == (at_once.id, at_once.images)
    assert first.id != both.id
    for name in ("keys.parquet", "stats.json"):
        path = f"{both.path}/{name}"
        assert other.store.read(path) == context.store.read(path)


def test_a_second_run_prepares_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = images()
    first = prepared(context, rows)
    before = files(context, "small")
    monkeypatch.setattr(prepare, "spark_session", None)
    assert prepared(context, rows) == first
    assert files(context, "small") == before


def test_a_snapshot_without_new_images_gives_the_same_training_set(context: Context) -> None:
    rows = images()
    first, second = (prepared(context, rows, identity=name) for name in ("0002-b", "0003-c"))
    assert second.snapshot == "small/snapshots/0003-c"
    assert second == first.model_copy(update={"snapshot": second.snapshot, "split": second.split})
    manifest = context.store.read_json(f"{second.path}/manifest.json")
    assert manifest["made_from"] == [[one.snapshot, one.split] for one in (first, second)]


def test_another_image_size_is_prepared_beside_the_first(context: Context) -> None:
    rows = images()
    first = prepared(context, rows)
    second = prepared(context, rows, spec=small_spec(image={"size": 64}))
    assert second.id != first.id
    assert second.images != first.images
    assert fetch(context, second).size == 64
    assert fetch(context, first).size == SIZE


@pytest.mark.parametrize("library", ["pillow", "opencv-python-headless", "pydicom"])
def test_another_version_of_a_library_that_decodes_prepares_again(
    library: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare.prepared_images(small_spec(), context)
    assert prepare.prepared_images(small_spec(), context) == first
    installed = decoding._installed
    monkeypatch.setattr(
        decoding, "_installed", lambda name: "99.9" if name == library else installed(name)
    )

    second = prepare.prepared_images(small_spec(), context)

    assert second.path != first.path
    assert listed(context.store, second.path).empty
    assert (second.versions[library], first.versions[library]) == ("99.9", installed(library))


def test_copies_are_listed_under_both_paths_and_prepared_once(context: Context) -> None:
    rows = images()
    rows.append({**rows[0], "source_path": "bright/copy.png"})
    output = prepared(context, rows)
    paths = fetch(context, output).split("train").column("source_path")
    assert {"bright/000.png", "bright/copy.png"} <= set(paths)
    assert len(prepared_once(context, output)) == len(rows) - 1


def test_images_in_no_split_are_left_out(context: Context) -> None:
    rows = images()
    rows[0] |= {"split": None, "excluded": "leak"}
    output = prepared(context, rows)
    assert output.rows["train"] == 11


def test_statistics_are_told_by_split_and_class(context: Context) -> None:
    output = prepared(context, images())
    stats = context.store.read_json(f"{output.path}/stats.json")
    [batch] = fetch(context, output).split("train").batches(100)
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
    assert context.store.names("small/training_sets") == []
    (key,) = context.store.names("small/prepared")
    assert listed(context.store, f"small/prepared/{key}").empty


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
    with pytest.raises(NotFound, match=r"1 images were not prepared, such as bright/000\.png"):
        prepare.run(small_spec(), context, snapshot, split)
    assert context.store.names("small/training_sets") == []


def test_two_preparations_at_once_give_one_training_set(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one prepares the same images after the first has seen that they are missing."""
    rows, began, real = images(), list[str](), prepare._prepare

    def overtaken(*args: Any, **options: Any) -> None:
        began.append("")
        if len(began) == 1:
            prepared(context, rows, identity="0003-c")
        real(*args, **options)

    monkeypatch.setattr(prepare, "_prepare", overtaken)
    output = prepared(context, rows)

    assert len(began) == 2, "both prepared all images"
    assert len(prepared_once(context, output)) == len(rows)
    assert context.store.names("small/training_sets") == [output.id]
    assert fetch(context, output).split("train").rows == 12


def test_an_image_that_two_writers_left_in_two_parts_is_read_once(context: Context) -> None:
    rows = images()
    first = prepared(context, rows[:12], identity="0002-first")
    kept = files(context, first.images)
    context.store.delete(first.images)
    prepared(context, rows[8:], identity="0003-second")
    for path, content in kept.items():
        context.store.write(path, content)

    output = prepared(context, rows, identity="0004-both")

    data = fetch(context, output)
    assert sum(data.split(name).rows for name in SPLITS) == len(rows)
    assert len(context.store.names(f"{output.images}/parts")) == 2


KILLED = """
import sys
from pipelines.data.prepare import prepare
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import SIZE, divided, images, small_spec, snapshotted

prepare.PART_BYTES = SIZE * SIZE * 3
settings = Settings(home=sys.argv[1], store=sys.argv[2], spark="local[1]")
context = Context(settings=settings, store=open_store(settings))
rows = images(80)
snapshot = snapshotted(context, rows)
prepare.run(small_spec(), context, snapshot, divided(context, snapshot, rows))
"""


def test_a_killed_preparation_leaves_what_is_finished_and_the_next_one_does_the_rest(
    context: Context, tmp_path: Path
) -> None:
    arguments = [str(tmp_path / "killed"), context.store.uri("").rstrip("/")]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], cwd=PROJECT, start_new_session=True
    )
    folder = Path(context.store.uri("small/prepared").removeprefix("file://"))
    try:
        until = time.monotonic() + 120
        while not list(folder.glob("*/listings/*.parquet")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert context.store.names("small/training_sets") == []
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*/listings/*.parquet")}

    rows = images(80)
    output = prepared(context, rows)

    assert 0 < len(before) < len(rows)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(prepared_once(context, output)) == len(rows)
    assert sum(output.rows.values()) == len(rows)


def test_images_are_prepared_in_hdfs_from_originals_in_hdfs(hdfs: Settings) -> None:
    context = Context(settings=hdfs, store=open_store(hdfs))
    rows = images()
    output = prepared(context, rows)
    assert sum(output.rows.values()) == len(rows)
    parts = context.store.names(f"{output.images}/parts")
    contents = [context.store.read(f"{output.images}/parts/{name}") for name in parts]
    assert [f"{hashlib.sha256(one).hexdigest()}.parquet" for one in contents] == parts
    assert sum(pq.ParquetFile(io.BytesIO(one)).metadata.num_rows for one in contents) == len(rows)
    assert fetch(context, output).split("train").rows == output.rows["train"]


@pytest.mark.parametrize(
    ("count", "size", "cores", "parts"),
    [
        (20, 160, 16, 1),
        (800, 160, 2, 2),
        (800, 160, 16, 13),
        (10**6, 160, 16, 287),
        (9, 1024, 1, 1),
    ],
)
def test_parts_are_bounded_and_every_core_has_one(
    count: int, size: int, cores: int, parts: int
) -> None:
    assert prepare.part_count(count, size, cores=cores) == parts
