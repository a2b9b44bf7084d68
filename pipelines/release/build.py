"""Builds the inference bundle of a trained model."""

import json
import logging
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.cells import Cells
from pipelines.evaluation.geometry import cells_of
from pipelines.imaging import decode, fit
from pipelines.outputs import Prepared
from pipelines.provenance import git_commit
from pipelines.release.bundle import (
    EXPECTED,
    KERAS,
    BundleClass,
    BundleManifest,
    CanaryImage,
    file_digests,
    load_bundle,
    write_manifest,
)
from pipelines.release.export import export_head, export_model
from pipelines.spec import DatasetSpec

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where a model comes from."""

    candidate: str
    run_id: str
    prepared: Prepared
    metrics: Mapping[str, float]
    """Figures on the leak-free test set."""


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
    canary: Sequence[Original],
) -> Path:
    """Write the bundle of a model; it appears whole or not at all.

    Args:
        folder: where to; what stands there is replaced.
        spec: of the data set.
        model_file: the ``.keras`` file.
        origin: where the model comes from.
        canary: test images to ask the service with.

    Returns:
        ``folder``.
    """
    import keras

    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    part.mkdir(parents=True)
    try:
        logger.info("%s: building the inference bundle of %s", spec.name, origin.candidate)
        shutil.copyfile(model_file, part / KERAS)
        model = keras.saving.load_model(model_file, compile=False)
        export_model(model, part)
        export_head(model, part)
        _write_canary(part, model, spec=spec, canary=canary)
        manifest = _manifest(spec, origin, files=file_digests(part), cells=cells_of(model))
        write_manifest(part, manifest)
        load_bundle(part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _write_canary(
    folder: Path, model: "keras.Model", *, spec: DatasetSpec, canary: Sequence[Original]
) -> None:
    (folder / "canary").mkdir()
    fitted = np.stack([fit(decode(image.content), spec.image) for image in canary])
    answers = np.asarray(model(fitted.astype(np.float32), training=False))
    expected = []
    for number, (image, answer) in enumerate(zip(canary, answers, strict=True)):
        file = f"canary/{image.label}-{number:02d}{Path(image.name).suffix.lower()}"
        (folder / file).write_bytes(image.content)
        probabilities = {n: float(p) for n, p in zip(spec.class_names, answer, strict=True)}
        best = spec.class_names[int(answer.argmax())]
        expected.append(
            CanaryImage(file=file, label=image.label, predicted=best, probabilities=probabilities)
        )
    text = json.dumps([image.model_dump() for image in expected], indent=2)
    (folder / EXPECTED).write_text(text + "\n", encoding="utf-8")


def _manifest(
    spec: DatasetSpec, origin: Origin, *, files: dict[str, str], cells: Cells
) -> BundleManifest:
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
        abstention=spec.abstention,
        review=spec.review,
        cells=cells,
        candidate=origin.candidate,
        run_id=origin.run_id,
        snapshot=origin.prepared.snapshot,
        split=origin.prepared.split,
        prepared=origin.prepared.path,
        git_commit=git_commit() or "unknown",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=dict(origin.metrics),
        files=files,
    )
