"""The stage that keeps a U-Net in the store, so that images can be cropped to what it finds.

It learns from images that are prepared without that crop. The masks it learns from, and how their
images are fitted, name it: a snapshot with new images but the same masks trains no new one.
"""

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pipelines.segmentation
from pipelines import imaging
from pipelines.data import prepare
from pipelines.data.masks import masks_of
from pipelines.imaging.lesion import FILES, IR, SAID, FinderSpec, digest
from pipelines.outputs import Prepared, Segmenter, Snapshot, Split
from pipelines.segmentation import segment
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, modules_of, standing
from pipelines.tracking.client import open_tracking
from pipelines.tracking.keras_models import fetch_model

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

Masks = list[tuple[str, str, str]]
"""Split, sha256 of an image and of its mask: all that a U-Net is made with."""


def run(spec: DatasetSpec, context: Context, snapshot: Snapshot, split: Split) -> Segmenter:
    """Train and keep a U-Net; one that stands for the same masks is not trained again.

    Raises:
        TrainingError: too few images have a mask, or the training diverges.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    import keras

    masks = masks_learnt(context, snapshot, split)
    if (done := standing(context, path_of(spec, context, masks), Segmenter)) is not None:
        logger.info("The U-Net %s stands already", context.store.uri(done.path))
        return done
    prepared = plain_shards(spec, context, snapshot, split)
    run_id = segment.run(uncropped(spec), context, prepared).run_id
    file = fetch_model(open_tracking(context.settings), run_id, cache=context.settings.cache)
    return keep(spec, context, keras.saving.load_model(file, compile=False), masks)


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
    done = standing(context, path, Segmenter)
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


def plain_shards(spec: DatasetSpec, context: Context, snapshot: Snapshot, split: Split) -> Prepared:
    """The shards that a U-Net learns from: the data set's, but not cropped to lesions."""
    return prepare.run(uncropped(spec), context, snapshot, split)


def uncropped(spec: DatasetSpec) -> DatasetSpec:
    """The data set as it is before its images are cropped to lesions."""
    return spec.model_copy(update={"image": spec.image.without_lesion_crop})


def masks_learnt(context: Context, snapshot: Snapshot, split: Split) -> Masks:
    """The masks of the images that train, and of those that validate, in order."""
    listed = prepare.listed_images(context, snapshot, split)
    mask_of = {row["image"]: row["sha256"] for row in masks_of(context, snapshot)}
    learnt = listed[listed["split"].isin(["train", "validation"])]
    places = zip(learnt["split"], learnt["sha256"], strict=True)
    return sorted({(s, image, mask_of[image]) for s, image in places if image in mask_of})


def path_of(spec: DatasetSpec, context: Context, masks: Masks) -> str:
    """Store path of the U-Net that is made with masks, whether it stands or not."""
    made_with = (masks, uncropped(spec).image, spec.segmenter, spec.split.seed, _code())
    return f"{spec.name}/segmenters/{context.identity(*made_with)}"


def _code() -> str:
    """What decides what a U-Net finds."""
    return code_version(*modules_of(pipelines.segmentation), *modules_of(imaging))
