"""A U-Net is kept in the store, named by the masks it learnt from, and crops as Keras would."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from pipelines.data.segmenters import fetch_segmenter, finder_of
from pipelines.data.tables import MASKS_INDEXED, write_rows
from pipelines.errors import NotFound
from pipelines.imaging.lesion import FOUND, LesionFinder
from pipelines.outputs import Prepared, Snapshot, Split
from pipelines.segmentation import segmenter
from pipelines.segmentation.unet import build
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.small_collection import Row, divided, images, small_spec, snapshotted
from tests.pipelines.imaging.finders import with_lesion

SIZE = 32
MASKS = [("train", "image", "mask")]


def cropping(**changes: Any) -> DatasetSpec:
    masks = {"landing": {"masks": "masks/{folder}/{stem}.png"}}
    return small_spec(**(masks | {"image": {"size": SIZE, "crop": "lesion"}} | changes))


def bright() -> keras.Model:
    """Takes for lesion what is brighter than 200."""
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Conv2D(1, 1, activation="sigmoid", name="lesion")(image)
    model = keras.Model(image, x)
    model.layers[-1].set_weights([np.full((1, 1, 3, 1), 1 / 3), np.array([-200])])
    return model


def masked(context: Context, rows: list[Row], *, which: list[int]) -> tuple[Snapshot, Split]:
    """A snapshot and its split; some of the images have a mask."""
    snapshot = snapshotted(context, rows)
    listed = [
        {"image": rows[n]["sha256"], "sha256": f"mask-{n}", "source_path": "m", "file": "f"}
        for n in which
    ]
    write_rows(context.store, f"{snapshot.path}/masks.parquet", listed, schema=MASKS_INDEXED)
    return snapshot, divided(context, snapshot, rows)


def test_the_kept_network_finds_what_keras_finds(context: Context) -> None:
    model = bright()

    kept = segmenter.keep(cropping(), context, model, MASKS)

    find = LesionFinder(fetch_segmenter(context, kept.path))
    picture = with_lesion(64, 64, top=20, left=30, side=16)
    box = find(picture)
    assert box is not None
    shrunk = picture[::2, ::2]
    said = np.asarray(model(shrunk[None].astype(np.float32)))[0, ..., 0] > FOUND
    rows, columns = (2 * np.flatnonzero(said.any(axis=axis)) for axis in (1, 0))
    margin = round(cropping().segmenter.margin * 64)
    assert abs(box.top - (rows[0] - margin)) <= 2
    assert abs(box.right - (columns[-1] + 2 + margin)) <= 2


def test_a_u_net_says_the_same_when_it_is_kept(context: Context) -> None:
    keras.utils.set_random_seed(3)
    model = build(SIZE)
    picture = with_lesion(SIZE, SIZE, top=8, left=8, side=12)

    kept = segmenter.keep(cropping(), context, model, MASKS)

    said = LesionFinder(fetch_segmenter(context, kept.path)).probability(picture)
    expected = np.asarray(model(picture[None].astype(np.float32), training=False))[0, ..., 0]
    np.testing.assert_allclose(said, expected, atol=1e-4)
    assert np.ptp(expected) > 1e-3


def test_a_network_that_stands_is_not_trained_again(context: Context) -> None:
    rows = images()
    snapshot, split = masked(context, rows, which=[0, 1, 3])
    spec = cropping()
    learnt = segmenter.masks_learnt(context, snapshot, split)
    kept = segmenter.keep(spec, context, bright(), learnt)

    # no MLflow is there: training would fail
    assert segmenter.run(spec, context, snapshot, split) == kept
    assert kept.images == 3


def test_only_masks_of_what_trains_or_validates_and_their_fitting_name_it(context: Context) -> None:
    rows = images()
    named = {}
    for name, which in {"one": [0, 1], "tested_too": [0, 1, 4], "more": [0, 1, 2]}.items():
        learnt = segmenter.masks_learnt(context, *masked(context, rows, which=which))
        named[name] = segmenter.path_of(cropping(), context, learnt)

    assert named["one"] == named["tested_too"]
    assert named["one"] != named["more"]
    learnt = segmenter.masks_learnt(context, *masked(context, rows, which=[0, 1]))
    for changed in ({"image": {"size": 64, "crop": "lesion"}}, {"segmenter": {"epochs": 3}}):
        assert segmenter.path_of(cropping(**changed), context, learnt) != named["one"]
    assert segmenter.path_of(cropping(title="Other"), context, learnt) == named["one"]


def test_a_fresh_run_trains_its_own(context: Context) -> None:
    fresh = replace(context, fresh="manual__2026-11-21")

    stood, made = (segmenter.path_of(cropping(), c, MASKS) for c in (context, fresh))

    assert stood != made


def test_what_is_kept_cannot_be_altered_unseen(context: Context) -> None:
    kept = segmenter.keep(cropping(), context, bright(), MASKS)
    context.store.write(f"{kept.path}/unet.bin", b"other weights")

    with pytest.raises(NotFound, match=r"sha256 differs.*prepare the images again"):
        fetch_segmenter(context, kept.path)


def test_a_network_that_is_gone_is_told(context: Context) -> None:
    context.store.require_layout()
    with pytest.raises(NotFound, match=r"segmenters/none.*manifest\.json"):
        fetch_segmenter(context, "small/segmenters/none")


def test_shards_that_are_not_cropped_have_no_finder(context: Context) -> None:
    rows = {"train": 0, "validation": 0, "test": 0}
    plain = Prepared(dataset="small", id="a", snapshot="s", split="s", path="p", rows=rows)

    assert finder_of(context, plain) is None


def test_a_failed_export_leaves_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(context.store, "upload", fails)
    with pytest.raises(OSError, match="disk full"):
        segmenter.keep(cropping(), context, bright(), MASKS)

    path = segmenter.path_of(cropping(), context, MASKS)
    assert not context.store.exists(path)
