"""Prepared images arrive whole, once, and are read by their place."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.data.input.cache import fetch, read_set
from pipelines.data.input.training_set import Part
from pipelines.errors import NotFound, StoreUnavailable
from pipelines.outputs import SPLITS, Prepared
from pipelines.stage import Context
from tests.pipelines.data.small_collection import images, small_spec
from tests.pipelines.tracked import prepare_small
from tests.pipelines.training.small_sets import CLASSES, COUNTS, SIZE, small_set


@pytest.fixture
def prepared(context: Context) -> Prepared:
    """A training set whose images came in two deliveries, and so are in two parts."""
    rows = images()
    prepare_small(context, small_spec(), rows=rows[::2], identity="first")
    return prepare_small(context, small_spec(), rows=rows, written=rows[1::2])


def stored(context: Context, prepared: Prepared) -> list[Path]:
    folder = Path(context.store.uri(prepared.images).removeprefix("file://"))
    return sorted((folder / "parts").iterdir())


def arrays(context: Context, prepared: Prepared) -> list[Path]:
    return sorted((context.settings.cache / prepared.images).glob("*.npy"))


def test_reads_every_image_once_in_order(tmp_path: Path) -> None:
    split = small_set(tmp_path / "cache").split("train")
    batches = list(split.batches(5))
    assert split.rows == sum(COUNTS["train"]) == sum(len(b.labels) for b in batches)
    assert len({id for b in batches for id in b.ids}) == split.rows
    assert np.array_equal(np.concatenate([b.labels for b in batches]), split.labels())
    assert all(b.images.shape == (len(b.labels), SIZE, SIZE, 3) for b in batches)
    assert max(len(b.labels) for b in batches) == 5
    bright = np.concatenate([b.images.mean(axis=(1, 2, 3)) > 100 for b in batches])
    assert np.array_equal(bright, split.labels() == CLASSES.index("bright"))


def test_images_are_found_by_their_place(tmp_path: Path) -> None:
    split = small_set(tmp_path / "cache").split("train")
    every = np.concatenate([batch.images for batch in split.batches(5)])
    places = [split.rows - 1, 0, 7]
    assert np.array_equal(split.pixels(places), every[places])
    assert split.pixels([]).shape == (0, SIZE, SIZE, 3)


def test_a_path_belongs_to_its_image(tmp_path: Path) -> None:
    for batch in small_set(tmp_path / "cache").split("validation").batches(3):
        assert [Path(p).parts[0] for p in batch.paths] == [CLASSES[i] for i in batch.labels]


def test_a_subset_holds_the_chosen_rows_in_their_order(tmp_path: Path) -> None:
    data = small_set(tmp_path / "cache")
    train, validation = np.arange(32) % 3 == 0, np.arange(16) < 5
    parts = [
        Part("train", train, "train"),
        Part("validation", validation, "train"),
        Part("validation", ~validation, "validation"),
    ]
    subset = data.subset(parts)

    ids = {split: data.split(split).column("sha256") for split in SPLITS}
    chosen = [*ids["train"][train], *ids["validation"][validation]]
    assert subset.split("train").column("sha256").tolist() == chosen
    assert subset.split("validation").column("sha256").tolist() == [*ids["validation"][~validation]]
    assert subset.split("test").rows == 0
    assert (subset.size, subset.classes) == (data.size, data.classes)
    assert subset.id != data.id != data.subset(parts[:1]).id
    assert data.subset(parts).id == subset.id
    old = dict(zip(ids["train"], data.split("train").pixels(np.arange(32)), strict=True))
    (batch,) = (
        subset.subset([Part("train", np.arange(16) < 11, "train")]).split("train").batches(99)
    )
    assert all(np.array_equal(i, old[n]) for n, i in zip(batch.ids, batch.images, strict=True))


def test_rows_are_described_in_order(tmp_path: Path) -> None:
    data = small_set(tmp_path / "cache")
    rows = data.described("train")
    assert rows["label"].tolist() == data.split("train").labels().tolist()
    assert rows["group"].tolist() == data.split("train").column("sha256").tolist()


def test_fetches_once_and_needs_the_store_no_more(context: Context, prepared: Prepared) -> None:
    fetched = fetch(context, prepared)
    shutil.rmtree(context.store.root.removeprefix("file://"))
    again = fetch(context, prepared)
    assert again == fetched
    assert sum(len(b.labels) for b in again.split("test").batches(64)) == prepared.rows["test"]
    assert len(arrays(context, prepared)) == 2
    assert not list((context.settings.cache / prepared.images).glob(".*"))


def test_another_training_set_fetches_only_the_parts_that_are_new(context: Context) -> None:
    rows = images()
    first = prepare_small(context, small_spec(), rows=rows[::2], identity="first")
    fetch(context, first)
    (kept,) = arrays(context, first)
    before = kept.stat().st_mtime_ns

    second = prepare_small(context, small_spec(), rows=rows, written=rows[1::2])
    data = fetch(context, second)

    assert sum(data.split(name).rows for name in SPLITS) == len(rows)
    assert len(arrays(context, second)) == 2
    assert kept.stat().st_mtime_ns == before


def test_a_killed_fetch_goes_on_where_it_stopped(context: Context, prepared: Prepared) -> None:
    fetch(context, prepared)
    kept, cut = arrays(context, prepared)
    content, before = cut.read_bytes(), kept.stat().st_mtime_ns
    cut.rename(cut.with_name(f".12.{cut.name}"))

    fetch(context, prepared)

    assert kept.stat().st_mtime_ns == before
    assert cut.read_bytes() == content


def test_a_damaged_part_is_named_and_not_kept(context: Context, prepared: Prepared) -> None:
    sound, damaged = stored(context, prepared)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreUnavailable, match=rf"{damaged.name} is damaged: its sha256 is"):
        fetch(context, prepared)
    assert [file.stem for file in arrays(context, prepared)] == [sound.stem]
    damaged.unlink()
    with pytest.raises(StoreUnavailable, match=rf"{damaged.name} is damaged: it is missing"):
        fetch(context, prepared)


def test_images_that_moved_to_another_part_are_found(context: Context, prepared: Prepared) -> None:
    """Prune removed the folder of prepared images, and they were prepared again, all at once."""
    fetch(context, prepared)
    shutil.rmtree(context.settings.cache / prepared.images)
    context.store.delete(prepared.images)

    assert prepare_small(context, small_spec(), rows=images()).path == prepared.path
    data = fetch(context, prepared)

    assert len(arrays(context, prepared)) == 1
    assert len(next(data.split("train").batches(99)).images) == prepared.rows["train"]


def test_images_that_are_gone_are_named(context: Context, prepared: Prepared) -> None:
    context.store.delete(prepared.images)
    with pytest.raises(NotFound, match=r"20 images of .*, such as .*\.png, are no longer in"):
        fetch(context, prepared)


@pytest.mark.parametrize("content", [None, "{}", "not json"])
def test_a_folder_without_a_manifest_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(NotFound, match=r"manifest\.json is not the manifest of a training set"):
        read_set(tmp_path)
