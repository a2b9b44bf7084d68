"""The stage that trains a U-Net on the masks, and measures it on the leak-free test split."""

import logging
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import Images, TrainingSet
from pipelines.evaluation.intervals import Interval
from pipelines.evidence.heat import BATCH, Pictures
from pipelines.evidence.pointing import mean_interval
from pipelines.imaging.lesion import FOUND
from pipelines.locks import alone
from pipelines.outputs import Prepared
from pipelines.reached import reached
from pipelines.segmentation.overlap import Masks, box_areas, box_holds, dice, iou
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, code_version, fingerprint
from pipelines.tracking import runs
from pipelines.tracking.client import open_tracking
from pipelines.tracking.inputs import log_inputs
from pipelines.tracking.keras_models import log_model

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

WITHIN = (*("pipelines.segmentation", "pipelines.training", "pipelines.data.input"),)
"""What can decide a U-Net and how it is measured."""

REPORT = "segmenter.json"


class Segmented(BaseModel):
    """A U-Net with its figures on test images that have a mask."""

    id: str
    run_id: str
    images: int
    """Test images it was measured on."""
    figures: dict[str, float]
    """``dice`` and ``iou`` of the lesions, ``average_dice`` of a lesion that is always where the
    training lesions are most often, ``kept`` and ``area``: the share of the lesion, and of the
    picture, inside the box around what was found."""
    intervals: dict[str, Interval]
    """95 % intervals, resampled by group."""
    epochs: int
    seconds: float


def run(spec: DatasetSpec, context: Context, prepared: Prepared) -> Segmented:
    """Train and measure a U-Net; a finished one is not trained again, a killed one resumes.

    Raises:
        TrainingError: too few images have a mask, or the training diverges.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    from pipelines.segmentation.train import train

    identity = fingerprint(prepared.id, spec.segmenter, spec.split.seed, _code())
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(f"{spec.name}.lesions", title=f"{spec.title}: lesions")
    workdir = context.settings.work / "segmentation" / identity
    with alone(workdir):
        found = runs.find(tracking, experiment, fingerprint=identity)
        if found is not None and tracking.has_artifact(found.info.run_id, REPORT):
            logger.info("%s: the U-Net is trained already", spec.name)
            return Segmented.model_validate(tracking.read_json(found.info.run_id, REPORT))
        with runs.open_run(
            tracking,
            experiment,
            fingerprint=identity,
            name="U-Net",
            tags={"medloop.prepared": prepared.path, "medloop.split": prepared.split},
        ) as run_id:
            runs.log_params(tracking, run_id, {**spec.segmenter.model_dump()})
            log_inputs(tracking, run_id, prepared, store=context.store.root)
            data = fetch(context, prepared)
            book = runs.MetricBook(tracking, run_id)
            model, progress = train(
                spec.segmenter,
                data,
                seed=spec.split.seed,
                folder=workdir,
                on_epoch=lambda epoch, metrics: book.add(_by_epoch(metrics), step=epoch),
            )
            book.flush()
            book.catch_up([_by_epoch(metrics) for metrics in progress.history])
            log_model(tracking, run_id, model, example=np.zeros((1, *model.input_shape[1:]), "f4"))
            with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
                done = Segmented(
                    id=identity,
                    run_id=run_id,
                    epochs=progress.epochs,
                    seconds=progress.seconds,
                    **measure(spec, model, data, drawn=Path(folder)),
                )
                tracking.upload(run_id, Path(folder), folder="figures")
            runs.log_metrics(tracking, run_id, {f"test.{k}": v for k, v in done.figures.items()})
            tracking.upload_json(run_id, REPORT, done.model_dump(mode="json"))
        shutil.rmtree(workdir, ignore_errors=True)
    return done


def measure(
    spec: DatasetSpec, model: "keras.Model", data: TrainingSet, *, drawn: Path
) -> dict[str, Any]:
    """Hold what a network finds against the masks of the test split.

    Args:
        spec: of the data set.
        model: the U-Net.
        data: the training set.
        drawn: a folder for the sheet of pictures.

    Returns:
        ``images``, ``figures`` and ``intervals`` of `Segmented`.
    """
    from pipelines.evaluation.figures import save
    from pipelines.segmentation.pictures import sheet

    split, margin = data.split("test"), spec.segmenter.margin
    pictures, true, groups = with_masks(split)
    found = find(model, pictures)
    usual = _usual_place(data)
    values = {
        "dice": dice(found, true),
        "iou": iou(found, true),
        "average_dice": dice(np.broadcast_to(usual, true.shape), true),
        "kept": box_holds(found, true, margin=margin),
        "area": box_areas(found, margin=margin),
    }
    save(sheet(pictures, true, found, values["dice"], title=spec.title), drawn / "lesions.png")
    return {
        "images": len(pictures),
        "figures": {name: float(value.mean()) for name, value in values.items()},
        "intervals": {
            name: mean_interval(value, groups, seed=spec.split.seed)
            for name, value in values.items()
        },
    }


def find(model: "keras.Model", pictures: Pictures) -> Masks:
    """The lesions a network finds: bool (n, size, size)."""
    parts = [
        np.asarray(model(pictures[i : i + BATCH].astype(np.float32), training=False))[..., 0]
        for i in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(parts) > FOUND


def with_masks(split: Images) -> tuple[Pictures, Masks, list[str]]:
    """The images of a split that have a mask, with it, and the group of each."""
    places = split.with_lesion()
    return split.pixels(places), split.lesions(places), split.column("group")[places].tolist()


def _usual_place(data: TrainingSet) -> NDArray[np.bool_]:
    """Where most training lesions are: what is found without looking."""
    split = data.split("train")
    often = split.lesions(split.with_lesion()).mean(axis=0)
    return np.asarray(often > 0.5 * often.max())


def _by_epoch(metrics: dict[str, float]) -> dict[str, float]:
    return {f"epoch.{name}": value for name, value in metrics.items()}


def training_modules() -> list[ModuleType]:
    """The modules that decide what a U-Net learns from prepared images."""
    return reached("pipelines.segmentation.train", within=WITHIN)


def _code() -> str:
    return code_version(*reached(__name__, within=WITHIN))
