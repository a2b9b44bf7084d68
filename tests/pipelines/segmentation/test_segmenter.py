"""A U-Net is kept in the store, named by the masks it learnt from, and crops as Keras would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipelines.data.prepare.segmenters import Segmenters, fetch_segmenter, finder_of
from pipelines.errors import NotFound
from pipelines.imaging.lesion import FOUND, LesionFinder
from pipelines.outputs import Prepared, Snapshot, Split
from pipelines.segmentation import segmenter, unet
from pipelines.segmentation import train as training
from pipelines.segmentation.folds import divided as folds_of
from pipelines.segmentation.unet import build
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.small_collection import Row, divided, images, small_spec, snapshotted
from tests.pipelines.imaging.finders import with_lesion
from tests.pipelines.segmentation.test_segment import write_examples

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
    listed = [
        {"image": rows[n]["sha256"], "sha256": f"mask-{n}", "source_path": "m", "file": "f"}
        for n in which
    ]
    snapshot = snapshotted(context, rows, masks=listed)
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


def test_networks_that_exist_are_not_trained_again(context: Context) -> None:
    rows = images()
    snapshot, split = masked(context, rows, which=[0, 1, 3])
    spec = cropping()
    learnt = segmenter.masks_learnt(context, snapshot, split)
    kept = segmenter.keep(spec, context, bright(), learnt)
    for one in learnt[:2]:
        assert one[0] == "train"
        segmenter.keep(spec, context, bright(), [other for other in learnt if other != one])

    # no MLflow is there: training would fail
    found = segmenter.run(spec, context, snapshot, split)

    assert found.final == kept
    assert kept.images == 3
    assert [fold.images for fold in found.folds] == [2, 2]


def test_a_training_image_is_cropped_by_a_network_that_has_not_learned_from_its_group(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "WIDTHS", (4, 8))
    data = write_examples(tmp_path / "cache", masked=100)
    trained: list[frozenset[str]] = []
    real = training.train

    def train(*args: Any, without: frozenset[str], **options: Any) -> Any:
        trained.append(without)
        return real(*args, without=without, **options)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(segmenter, "fetch", lambda *_: data)
    plain = Prepared(
        dataset="small", id="a", snapshot="s", split="s", path="p", images="i", rows={}
    )
    spec = cropping(segmenter={"epochs": 1, "folds": 2})
    group_of = {f"image-{n}": f"train-group-{n // 2}" for n in range(8)}
    masks = [("train", image, f"mask-{image}") for image in group_of]
    masks += [("validation", "image-9", "mask-9")]
    fold_of = folds_of(group_of.values(), folds=2, seed=3)

    def cross_fitted() -> Segmenters:
        made = segmenter.cross_fitted(spec, context, masks, group_of, fold_of, lambda: plain)
        return Segmenters(made[0], made, fold_of)

    found = cross_fitted()

    for image, group in group_of.items():
        place = found.index_of("train", group)
        assert group in trained[place - 1], "it was held out"
        others = [m for m in masks if m[0] != "train" or fold_of[group_of[m[1]]] != place - 1]
        assert image not in [m[1] for m in others]
        assert found.every[place].path == segmenter.path_of(spec, context, others)
    assert found.index_of("train", "of another group") == 0
    assert found.index_of("validation", group) == found.index_of("test", group) == 0
    assert trained[0] | trained[1] == set(fold_of)
    assert not trained[0] & trained[1]
    assert cross_fitted() == found
    assert len(trained) == 2, "what exists is not trained again"


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

    with pytest.raises(NotFound, match=r"another sha256.*prepare the images again"):
        fetch_segmenter(context, kept.path)


def test_a_network_that_is_gone_is_told(context: Context) -> None:
    context.store.require_layout()
    with pytest.raises(NotFound, match=r"segmenters/none.*manifest\.json"):
        fetch_segmenter(context, "small/segmenters/none")


def test_images_that_are_not_cropped_have_no_finder(context: Context) -> None:
    rows = {"train": 0, "validation": 0, "test": 0}
    plain = Prepared(
        dataset="small", id="a", snapshot="s", split="s", path="p", images="i", rows=rows
    )

    assert finder_of(context, plain) is None


def test_a_failed_export_leaves_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(context.store, "upload", fails)
    with pytest.raises(OSError, match="disk full"):
        segmenter.keep(cropping(), context, bright(), MASKS)

    path = segmenter.path_of(cropping(), context, MASKS)
    assert not context.store.exists(path)
