"""Shards of some of the images hold just these, with what was computed of them already."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data.input.shards import Shards
from pipelines.studies.subset import FEATURES, Part, described, write_subset
from tests.pipelines.training.small_shards import small_shards


@pytest.fixture
def data(tmp_path: Path) -> Shards:
    return small_shards(tmp_path / "shards")


def ids(data: Shards, split: str) -> list[str]:
    """sha256 of a split's images, in file order."""
    return [image for batch in data.split(split).batches(5) for image in batch.ids]  # type: ignore[arg-type]


def test_the_chosen_rows_are_copied_in_their_order(data: Shards, tmp_path: Path) -> None:
    train, validation = np.arange(32) % 3 == 0, np.arange(16) < 5

    subset = write_subset(
        data,
        tmp_path / "subset",
        parts=(
            Part("train", train, "train"),
            Part("validation", validation, "train"),
            Part("validation", ~validation, "validation"),
        ),
    )

    first, second = np.array(ids(data, "train")), np.array(ids(data, "validation"))
    assert ids(subset, "train") == [*first[train], *second[validation]]
    assert ids(subset, "validation") == list(second[~validation])
    assert subset.split("test").rows == 0
    assert (subset.size, subset.classes) == (data.size, data.classes)
    old = {b.ids[0]: b.images for s in ("train", "validation") for b in data.split(s).batches(1)}
    for batch in subset.split("train").batches(1):
        assert np.array_equal(batch.images, old[batch.ids[0]])


def test_computed_features_come_along(data: Shards, tmp_path: Path) -> None:
    folder = data.folder / FEATURES / "backbone-1"
    folder.mkdir(parents=True)
    for number, shard in enumerate(data.split("train").shards):
        values = [f"{number}-{row}".encode() for row in range(shard.rows)]
        pq.write_table(pa.table({"features": values}), folder / shard.name)
    chosen = np.arange(32) % 5 == 1

    subset = write_subset(data, tmp_path / "subset", parts=(Part("train", chosen, "train"),))

    files = [subset.folder / FEATURES / "backbone-1" / s.name for s in subset.split("train").shards]
    copies = pa.concat_tables([pq.read_table(file) for file in files])["features"].to_pylist()
    expected = [f"{row // 16}-{row % 16}".encode() for row in np.flatnonzero(chosen)]
    assert copies == expected


def test_a_subset_stands_whole_or_not_at_all(data: Shards, tmp_path: Path) -> None:
    parts = (Part("train", np.arange(32) < 7, "train"),)
    left = tmp_path / ".subset" / "train-from-half.parquet"
    left.parent.mkdir()
    left.write_bytes(b"cut off")

    subset = write_subset(data, tmp_path / "subset", parts=parts)

    assert not left.parent.exists()
    assert not (subset.folder / left.name).exists()
    assert write_subset(data, tmp_path / "subset", parts=()) == subset


def test_rows_are_described_in_file_order(data: Shards) -> None:
    rows = described(data, "train")

    assert rows["label"].tolist() == data.split("train").labels().tolist()
    assert rows["group"].tolist() == ids(data, "train")
