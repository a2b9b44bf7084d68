"""Builds the inference bundle of a trained model."""

import json
import logging
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.data.input.training_set import Batch
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.cells import Cells
from pipelines.evaluation.geometry import cells_of
from pipelines.evaluation.operating_point import decide
from pipelines.imaging import crop_box, decode, fit
from pipelines.imaging.lesion import FILES, LesionFinder
from pipelines.outputs import Prepared, SplitName
from pipelines.provenance import git_commit
from pipelines.release import same_pixels
from pipelines.release.bundle import (
    EXPECTED,
    FINDER,
    KERAS,
    MANIFEST,
    NOVELTY,
    Bundle,
    BundleClass,
    BundleManifest,
    CanaryImage,
    Decoding,
    file_digests,
    load_bundle,
    write_manifest,
)
from pipelines.release.export import export_head, export_model
from pipelines.release.precision import measure_agreement, quantise, require_agreement
from pipelines.release.runtime import Tuning, open_runtime
from pipelines.release.trust import abstention_figures, learn_novelty
from pipelines.spec import DatasetSpec

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

Batches = Callable[[SplitName], Iterable[Batch]]
"""Split → its images, in batches."""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from."""

    candidate: str
    run_id: str
    prepared: Prepared
    metrics: Mapping[str, float]
    """Figures on the leak-free test set."""
    temperature: float
    """See `calibration.fit_temperature`."""
    thresholds: Mapping[str, float] | None = None
    """See `judging.thresholds_of`."""
    finder: Path | None = None
    """Folder of the network that finds the lesions that the images are cropped to, if they are."""


@dataclass(frozen=True)
class Original:
    """An image as it landed."""

    name: str
    """File name, with its ending."""
    label: str
    """The class it shows."""
    content: bytes


def build_bundle(
    folder: Path,
    *,
    spec: DatasetSpec,
    model_file: Path,
    origin: Origin,
    data: Batches,
    canary: Sequence[Original],
) -> Path:
    """Write the bundle of a model; it appears whole or not at all.

    Args:
        folder: where to; what stands there is replaced.
        spec: of the data set.
        model_file: the ``.keras`` file.
        origin: where the model comes from.
        data: the images it was trained on and judged by, as it sees them.
        canary: test images to ask the service with.

    Returns:
        ``folder``.

    Raises:
        BundleError: its precision costs more accuracy than the spec allows.
    """
    import keras

    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    part.mkdir(parents=True)
    try:
        logger.info("%s: building the inference bundle of %s", spec.name, origin.candidate)
        shutil.copyfile(model_file, part / KERAS)
        if origin.finder is not None:
            _copy_finder(origin.finder, part / FINDER)
        model = keras.saving.load_model(model_file, compile=False)
        export_model(model, part)
        export_head(model, part)
        _write_canary(part, model, spec=spec, canary=canary, origin=origin)
        if spec.bundle.precision == "int8":
            quantise(part, data("train"))
        manifest = _manifest(spec, origin, cells=cells_of(model))
        manifest = manifest.model_copy(update={"decoding": _decoding(part, manifest)})
        agreement = measure_agreement(Bundle(part, manifest), model, data("validation"))
        manifest = manifest.model_copy(update={"agreement": agreement})
        require_agreement(Bundle(folder, manifest), max_loss=spec.gate.max_bundle_loss)
        metrics = manifest.metrics | _write_novelty(Bundle(part, manifest), data)
        update = {"metrics": metrics, "files": file_digests(part)}
        write_manifest(part, manifest.model_copy(update=update))
        load_bundle(part)
        if (folder / MANIFEST).is_file():  # of an earlier try; anything else is not ours to delete
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _copy_finder(source: Path, target: Path) -> None:
    target.mkdir()
    for name in FILES:
        shutil.copyfile(source / name, target / name)


def _write_canary(
    folder: Path,
    model: "keras.Model",
    *,
    spec: DatasetSpec,
    canary: Sequence[Original],
    origin: Origin,
) -> None:
    import keras

    (folder / "canary").mkdir()
    find = LesionFinder(origin.finder) if origin.finder else None
    limits = same_pixels.within(spec.limits)
    pictures = [decode(image.content, limits=limits) for image in canary]
    fitted = np.stack([fit(p, spec.image, crop_box(p, spec.image, find)) for p in pictures])
    ask = keras.Model(model.input, model.get_layer("logits").output)
    logits = np.asarray(ask(fitted.astype(np.float32), training=False))
    answers = softmax(logits, origin.temperature)
    decided = decide(answers, spec.class_names, origin.thresholds)
    expected = []
    for number, (image, answer, best) in enumerate(zip(canary, answers, decided, strict=True)):
        file = f"canary/{image.label}-{number:02d}{Path(image.name).suffix.lower()}"
        (folder / file).write_bytes(image.content)
        probabilities = {n: float(p) for n, p in zip(spec.class_names, answer, strict=True)}
        expected.append(
            CanaryImage(
                file=file,
                label=image.label,
                predicted=spec.class_names[best],
                probabilities=probabilities,
            )
        )
    text = json.dumps([image.model_dump() for image in expected], indent=2)
    (folder / EXPECTED).write_text(text + "\n", encoding="utf-8")


def _decoding(folder: Path, manifest: BundleManifest) -> Decoding:
    bundle = Bundle(folder, manifest)
    files = {image.file: (folder / image.file).read_bytes() for image in bundle.canary}
    return same_pixels.record(files, manifest.image, manifest.limits, bundle.finder)


def _write_novelty(bundle: Bundle, data: Batches) -> dict[str, float]:
    """Write what the training images look like; how often the test images make it abstain."""
    rules = bundle.manifest.abstention
    runtime = open_runtime(bundle, "openvino", Tuning())
    novelty = learn_novelty(
        runtime, data("train"), data("validation"), false_alarms=rules.false_alarms
    )
    novelty.save(bundle.folder / NOVELTY)
    return abstention_figures(runtime, data("test"), manifest=bundle.manifest, novelty=novelty)


def _manifest(spec: DatasetSpec, origin: Origin, *, cells: Cells) -> BundleManifest:
    """All but the files, which are not all there yet."""
    return BundleManifest(
        dataset=spec.name,
        title=spec.title,
        synthetic=spec.synthetic,
        disclaimer=spec.disclaimer,
        classes=tuple(
            BundleClass(
                name=c.name,
                title=c.title,
                finding=c.finding,
                about=c.about,
                recommendations=c.recommendations,
                sources=c.sources,
            )
            for c in spec.classes
        ),
        image=spec.image,
        limits=spec.limits,
        temperature=origin.temperature,
        thresholds=dict(origin.thresholds) if origin.thresholds else None,
        abstention=spec.abstention,
        review=spec.review,
        precision=spec.bundle.precision,
        cells=cells,
        candidate=origin.candidate,
        run_id=origin.run_id,
        snapshot=origin.prepared.snapshot,
        split=origin.prepared.split,
        prepared=origin.prepared.path,
        images=origin.prepared.rows,
        source=spec.source,
        git_commit=git_commit() or "unknown",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=dict(origin.metrics),
        files={},
    )
