"""The stage that keeps U-Nets in the store, so that images can be cropped to what they find.

They learn from images that are prepared without that crop. The masks a U-Net learns from, and how
their images are fitted, name it: a snapshot with new images but the same masks trains no new one.
The final U-Net learns from all masks. The training images are cropped by others that have not
seen them (`pipelines.segmentation.folds`).
"""

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.data.input.cache import fetch
from pipelines.data.prepare import prepare
from pipelines.data.prepare.keys import listed_images
from pipelines.data.prepare.segmenters import Segmenters
from pipelines.decoding import pixel_version
from pipelines.imaging.lesion import FILES, IR, SAID, FinderSpec, digest
from pipelines.locks import alone
from pipelines.outputs import Prepared, Segmenter, Snapshot, Split
from pipelines.segmentation import folds, segment
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, existing_output, fingerprint
from pipelines.tracking.client import open_tracking
from pipelines.tracking.keras_models import fetch_model

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

Masks = list[tuple[str, str, str]]
"""Split, sha256 of an image and of its mask: all that a U-Net is made with."""


def run(spec: DatasetSpec, context: Context, snapshot: Snapshot, split: Split) -> Segmenters:
    """Train and keep all U-Nets; one that exists for the same masks is not trained again, and a
    killed training resumes.

    Raises:
        TrainingError: too few images have a mask, or a training diverges.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    masks = masks_learnt(context, snapshot, split)
    group_of = groups_of(context, snapshot, split)
    plain = partial(plain_images, spec, context, snapshot, split)
    final = _final(spec, context, masks, plain)
    fold_of = folds.divided(
        (group_of[image] for name, image, _ in masks if name == "train"),
        folds=spec.segmenter.folds,
        seed=spec.split.seed,
    )
    return Segmenters(final, cross_fitted(spec, context, masks, group_of, fold_of, plain), fold_of)


def _final(
    spec: DatasetSpec, context: Context, masks: Masks, plain: Callable[[], Prepared]
) -> Segmenter:
    import keras

    if (done := existing_output(context, path_of(spec, context, masks), Segmenter)) is not None:
        logger.info("The U-Net %s exists already", context.store.uri(done.path))
        return done
    run_id = segment.run(uncropped(spec), context, plain()).run_id
    file = fetch_model(open_tracking(context.settings), run_id, cache=context.settings.cache)
    return keep(spec, context, keras.saving.load_model(file, compile=False), masks)


def cross_fitted(
    spec: DatasetSpec,
    context: Context,
    masks: Masks,
    group_of: Mapping[str, str],
    fold_of: Mapping[str, int],
    plain: Callable[[], Prepared],
) -> tuple[Segmenter, ...]:
    """A U-Net for each fold, trained on the masks of the other folds.

    Args:
        spec: of the data set.
        context: settings and store.
        masks: of the training and validation images.
        group_of: sha256 of an image → its group.
        fold_of: group → fold.
        plain: prepares the images to learn from; asked if a U-Net is not there yet.

    Raises:
        TrainingDiverged: the loss of a training is no longer a number.
        StoreUnavailable: the store does not answer.
    """
    numbers = range(1 + max(fold_of.values()))
    return tuple(
        _fold(
            spec,
            context,
            [m for m in masks if m[0] != "train" or fold_of[group_of[m[1]]] != number],
            plain,
            without=frozenset(group for group, fold in fold_of.items() if fold == number),
        )
        for number in numbers
    )


def _fold(
    spec: DatasetSpec,
    context: Context,
    masks: Masks,
    plain: Callable[[], Prepared],
    *,
    without: frozenset[str],
) -> Segmenter:
    from pipelines.segmentation.train import train

    path = path_of(spec, context, masks)
    workdir = context.settings.work / "segmentation" / path.rpartition("/")[2]
    with alone(workdir):
        if (done := existing_output(context, path, Segmenter)) is not None:
            logger.info("The U-Net %s exists already", context.store.uri(path))
            return done
        data = fetch(context, plain())
        model, _ = train(
            spec.segmenter,
            data,
            seed=spec.split.seed,
            folder=workdir,
            on_epoch=lambda *_: None,
            without=without,
        )
        kept = keep(spec, context, model, masks)
        shutil.rmtree(workdir, ignore_errors=True)
    return kept


def keep(spec: DatasetSpec, context: Context, model: "keras.Model", masks: Masks) -> Segmenter:
    """Put a U-Net into the store, whole or not at all, as `pipelines.imaging.lesion` reads it."""
    path = path_of(spec, context, masks)
    with (
        tempfile.TemporaryDirectory(prefix="medloop-") as local,
        context.store.commit(path) as staging,
    ):
        export(spec, model, Path(local))
        kept = Segmenter(
            dataset=spec.name,
            id=path.rpartition("/")[2],
            path=path,
            sha256=digest(Path(local)),
            images=len(masks),
        )
        for name in FILES:
            context.store.upload(Path(local) / name, f"{staging}/{name}")
        said = {"output": kept.model_dump(mode="json")}
        context.store.write_json(f"{staging}/{MANIFEST}", said)
    done = existing_output(context, path, Segmenter)
    assert done is not None, path
    return done  # another's, if somebody was faster


def export(spec: DatasetSpec, model: "keras.Model", folder: Path) -> None:
    """Write a U-Net as the files that `pipelines.imaging.lesion.LesionFinder` opens."""
    import openvino

    with tempfile.TemporaryDirectory(prefix="medloop-") as saved:
        model.export(saved, format="tf_saved_model", verbose=False)
        network = openvino.Core().read_model(saved)
        openvino.save_model(network, folder / IR, compress_to_fp16=False)
    said = FinderSpec(image=uncropped(spec).image, margin=spec.segmenter.margin)
    (folder / SAID).write_text(said.model_dump_json(indent=2) + "\n", "utf-8")


def plain_images(spec: DatasetSpec, context: Context, snapshot: Snapshot, split: Split) -> Prepared:
    """The training set that a U-Net learns from: the data set's, but not cropped to lesions."""
    return prepare.run(uncropped(spec), context, snapshot, split)


def uncropped(spec: DatasetSpec) -> DatasetSpec:
    """The data set as it is before its images are cropped to lesions."""
    return spec.model_copy(update={"image": spec.image.without_lesion_crop})


def groups_of(context: Context, snapshot: Snapshot, split: Split) -> dict[str, str]:
    """sha256 → group of every image of a split."""
    listed = listed_images(context, snapshot, split)
    return dict(zip(listed["sha256"], listed["group"], strict=True))


def masks_learnt(context: Context, snapshot: Snapshot, split: Split) -> Masks:
    """The masks of the images that train, and of those that validate, in order."""
    listed = listed_images(context, snapshot, split)
    learnt = listed[listed["split"].isin(["train", "validation"]) & listed["mask"].notna()]
    return sorted(set(zip(learnt["split"], learnt["sha256"], learnt["mask"], strict=True)))


def path_of(spec: DatasetSpec, context: Context, masks: Masks) -> str:
    """Store path of the U-Net that is made with masks, whether it stands or not."""
    # How many folds there are decides which masks a U-Net learns from, and nothing else about it.
    settings = spec.segmenter.model_dump(exclude={"folds"})
    made_with = (masks, uncropped(spec).image, settings, spec.split.seed, _code())
    return f"{spec.name}/segmenters/{context.identity(*made_with)}"


def _code() -> str:
    """What decides what a U-Net finds."""
    ours = code_version(*segment.training_modules(), sys.modules[__name__])
    return fingerprint(ours, pixel_version())
