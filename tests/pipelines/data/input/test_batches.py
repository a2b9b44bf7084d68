"""Streams hand on every row once, in an order that only seed and epoch decide, in flat memory."""

from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from pipelines.data.input.arrays import Arrays
from pipelines.data.input.training_set import Stream, pixels
from tests.pipelines.training.small_sets import small_set


def numbers(folder: Path, *, files: int, rows: int, width: int = 4) -> Stream:
    """Rows that begin with their own number; the label is that of the file, which are mixed."""
    for file in range(files):
        first = np.arange(rows, dtype=np.float32) * files + file
        np.save(folder / f"{file}.npy", np.repeat(first[:, None], width, axis=1))
    part = np.tile(np.arange(files, dtype=np.int32), rows)
    row = np.repeat(np.arange(rows, dtype=np.int32), files)
    return Stream(Arrays(folder, tuple(str(n) for n in range(files)), part, row), part)


def order(stream: Stream, *, seed: int, epoch: int) -> NDArray[np.int64]:
    batches = stream.shuffled(16, seed=seed, epoch=epoch)
    return np.concatenate([x.numpy()[:, 0] for x, _ in batches]).astype(np.int64)


def test_a_shuffled_epoch_has_every_row_once(tmp_path: Path) -> None:
    found = order(numbers(tmp_path, files=3, rows=50), seed=1, epoch=0)
    assert np.array_equal(np.sort(found), np.arange(150))
    assert not np.array_equal(found, np.arange(150))


def test_the_order_is_that_of_seed_and_epoch(tmp_path: Path) -> None:
    stream = numbers(tmp_path, files=3, rows=50)
    first = order(stream, seed=1, epoch=0)
    assert np.array_equal(order(stream, seed=1, epoch=0), first)
    assert not np.array_equal(order(stream, seed=1, epoch=1), first)
    assert not np.array_equal(order(stream, seed=2, epoch=0), first)


def test_the_order_does_not_depend_on_the_files(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    one, other = (
        numbers(tmp_path / name, files=files, rows=150 // files)
        for name, files in (("a", 3), ("b", 5))
    )
    assert np.array_equal(order(one, seed=1, epoch=0), order(other, seed=1, epoch=0))


def test_a_label_stays_with_its_row(tmp_path: Path) -> None:
    for x, label in numbers(tmp_path, files=3, rows=50).shuffled(16, seed=1, epoch=0):
        assert np.array_equal(x.numpy()[:, 0] % 3, label.numpy())


def test_rows_come_as_often_as_they_are_to_be_shown(tmp_path: Path) -> None:
    stream, shown = numbers(tmp_path, files=2, rows=5), np.arange(10) % 3
    batches = stream.shuffled(4, seed=1, epoch=0, shown=shown)
    found = np.concatenate([x.numpy()[:, 0] for x, _ in batches]).astype(int)
    assert np.array_equal(np.bincount(found, minlength=10), shown)


def test_in_order_batches_follow_the_rows(tmp_path: Path) -> None:
    batches = [(x.numpy(), y.numpy()) for x, y in numbers(tmp_path, files=2, rows=50).in_order(32)]
    assert [len(y) for _, y in batches] == [32, 32, 32, 4]
    assert np.array_equal(np.concatenate([x[:, 0] for x, _ in batches]), np.arange(100))


def test_the_number_of_batches_is_known(tmp_path: Path) -> None:
    stream = numbers(tmp_path, files=2, rows=50)
    assert int(stream.shuffled(32, seed=0, epoch=0).cardinality()) == 4
    assert int(stream.in_order(32).cardinality()) == 4


def test_pixels_keep_their_range_and_place(tmp_path: Path) -> None:
    split = small_set(tmp_path / "cache").split("train")
    images, labels = next(iter(pixels(split).in_order(8)))
    expected = next(split.batches(8))
    assert images.dtype == np.float32
    assert np.array_equal(images.numpy(), expected.images)
    assert np.array_equal(labels.numpy(), expected.labels)


def test_memory_stays_flat_as_data_grows(tmp_path: Path) -> None:
    """400 MB pass through; what the process itself holds grows by a fraction of that."""
    stream = numbers(tmp_path, files=1, rows=100, width=1 << 16)
    process, grown = psutil.Process(), 0
    before = process.memory_info()
    for _ in stream.shuffled(8, seed=0, epoch=0, shown=np.full(100, 16)):
        now = process.memory_info()
        grown = max(grown, now.rss - now.shared - before.rss + before.shared)
    assert grown < 150 << 20
