"""Streams hand on every row once, in an order that only seed and epoch decide, in flat memory."""

from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pipelines.data.input import streams
from pipelines.data.input.streams import Stream, pixels
from tests.pipelines.training.small_shards import small_shards


def numbers(folder: Path, *, files: int, rows: int, width: int = 4) -> Stream:
    """Rows that begin with their own number."""
    paths = tuple(folder / f"{i}.parquet" for i in range(files))
    for i, path in enumerate(paths):
        first = np.arange(i * rows, (i + 1) * rows, dtype=np.float32)
        values = [np.full(width, number, np.float32).tobytes() for number in first]
        table = {"features": pa.array(values, pa.binary()), "label": pa.array([i] * rows)}
        pq.write_table(pa.table(table), path, row_group_size=64, use_dictionary=False)
    return Stream(paths, rows=files * rows, column="features", dtype="float32", shape=(width,))


def order(stream: Stream, *, seed: int, epoch: int) -> NDArray[np.int64]:
    batches = stream.shuffled(16, seed=seed, epoch=epoch)
    return np.concatenate([x.numpy()[:, 0] for x, _ in batches]).astype(np.int64)


def test_a_shuffled_epoch_has_every_row_once(tmp_path: Path) -> None:
    stream = numbers(tmp_path, files=3, rows=50)
    found = order(stream, seed=1, epoch=0)
    assert np.array_equal(np.sort(found), np.arange(150))
    assert not np.array_equal(found, np.arange(150))


def test_the_order_is_that_of_seed_and_epoch(tmp_path: Path) -> None:
    stream = numbers(tmp_path, files=3, rows=50)
    first = order(stream, seed=1, epoch=0)
    assert np.array_equal(order(stream, seed=1, epoch=0), first)
    assert not np.array_equal(order(stream, seed=1, epoch=1), first)
    assert not np.array_equal(order(stream, seed=2, epoch=0), first)


def test_a_label_stays_with_its_row(tmp_path: Path) -> None:
    for x, label in numbers(tmp_path, files=3, rows=50).shuffled(16, seed=1, epoch=0):
        assert np.array_equal(x.numpy()[:, 0] // 50, label.numpy())


def test_files_mix_even_where_the_buffer_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = numbers(tmp_path, files=4, rows=50)
    monkeypatch.setattr(streams, "SHUFFLE_BYTES", 10 * stream.row_bytes)
    starts = {int(order(stream, seed=1, epoch=epoch)[0]) // 50 for epoch in range(12)}
    assert len(starts) > 1


def test_in_order_batches_follow_the_files(tmp_path: Path) -> None:
    batches = [(x.numpy(), y.numpy()) for x, y in numbers(tmp_path, files=2, rows=50).in_order(32)]
    assert [len(y) for _, y in batches] == [32, 32, 32, 4]
    assert np.array_equal(np.concatenate([x[:, 0] for x, _ in batches]), np.arange(100))


def test_the_number_of_batches_is_known(tmp_path: Path) -> None:
    stream = numbers(tmp_path, files=2, rows=50)
    assert int(stream.shuffled(32, seed=0, epoch=0).cardinality()) == 4
    assert int(stream.in_order(32).cardinality()) == 4


def test_pixels_keep_their_range_and_place(tmp_path: Path) -> None:
    split = small_shards(tmp_path / "shards").split("train")
    images, labels = next(iter(pixels(split).in_order(8)))
    expected = next(split.batches(8))
    assert images.dtype == np.float32
    assert np.array_equal(images.numpy(), expected.images)
    assert np.array_equal(labels.numpy(), expected.labels)


def test_memory_stays_flat_as_data_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 MB pass through; the process grows by a fraction of that."""
    monkeypatch.setattr(streams, "SHUFFLE_BYTES", 8 << 20)
    file = numbers(tmp_path, files=1, rows=400, width=1 << 16).files[0]
    stream = Stream((file,) * 4, 1600, column="features", dtype="float32", shape=(1 << 16,))
    process, grown = psutil.Process(), 0
    before = process.memory_info().rss
    for _ in stream.shuffled(8, seed=0, epoch=0):
        grown = max(grown, process.memory_info().rss - before)
    assert grown < 200 << 20
