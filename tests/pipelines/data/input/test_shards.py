"""Prepared shards arrive whole, and every row is read once."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.data.input.shards import fetch, read_shards
from pipelines.errors import NotFound, StoreUnavailable
from pipelines.storage.local import LocalStore
from tests.pipelines.training.small_shards import CLASSES, COUNTS, SIZE, small_shards

PATH = "tiny/prepared/aa"


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """A store with one prepared folder."""
    small_shards(local_store.folder / PATH)
    return local_store


def test_reads_every_image_once_in_file_order(tmp_path: Path) -> None:
    split = small_shards(tmp_path / "shards").split("train")
    batches = list(split.batches(5))
    assert split.rows == sum(COUNTS["train"]) == sum(len(b.labels) for b in batches)
    assert len({id for b in batches for id in b.ids}) == split.rows
    assert np.array_equal(np.concatenate([b.labels for b in batches]), split.labels())
    assert all(b.images.shape == (len(b.labels), SIZE, SIZE, 3) for b in batches)
    assert max(len(b.labels) for b in batches) == 5
    bright = np.concatenate([b.images.mean(axis=(1, 2, 3)) > 100 for b in batches])
    assert np.array_equal(bright, split.labels() == CLASSES.index("bright"))


def test_pictures_are_found_by_their_place_in_file_order(tmp_path: Path) -> None:
    split = small_shards(tmp_path / "shards").split("train")
    every = np.concatenate([batch.images for batch in split.batches(5)])
    last = split.rows - 1
    found = split.pictures([last, 0, 7])
    assert list(found) == [0, 7, last]
    assert all(np.array_equal(picture, every[place]) for place, picture in found.items())


def test_a_path_belongs_to_its_image(tmp_path: Path) -> None:
    for batch in small_shards(tmp_path / "shards").split("validation").batches(3):
        assert [Path(p).parts[0] for p in batch.paths] == [CLASSES[i] for i in batch.labels]


def test_fetches_once_and_needs_the_store_no_more(store: LocalStore, tmp_path: Path) -> None:
    fetched = fetch(store, PATH, tmp_path / "cache")
    shutil.rmtree(store.folder)
    again = fetch(store, PATH, tmp_path / "cache")
    assert again == fetched
    assert sum(len(b.labels) for b in again.split("test").batches(64)) == sum(COUNTS["test"])


def test_a_killed_fetch_goes_on_where_it_stopped(store: LocalStore, tmp_path: Path) -> None:
    whole = fetch(store, PATH, tmp_path / "cache")
    kept, cut = (whole.folder / f"train-0000{i}.parquet" for i in range(2))
    (whole.folder / "manifest.json").unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    before = kept.stat().st_mtime_ns
    fetch(store, PATH, tmp_path / "cache")
    assert kept.stat().st_mtime_ns == before
    assert cut.read_bytes() == (store.folder / PATH / cut.name).read_bytes()


def test_an_altered_file_is_refused_and_not_kept(store: LocalStore, tmp_path: Path) -> None:
    file = store.folder / PATH / "validation-00001.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreUnavailable, match=r"validation-00001\.parquet arrived with sha256"):
        fetch(store, PATH, tmp_path / "cache")
    copy = tmp_path / "cache" / PATH
    assert not (copy / file.name).exists()
    assert not (copy / "manifest.json").exists()


@pytest.mark.parametrize("content", [None, "{}", "not json"])
def test_a_folder_without_a_manifest_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(NotFound, match=r"manifest\.json is no manifest"):
        read_shards(tmp_path)
