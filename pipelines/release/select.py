"""Choose the best candidate on the validation split, and register its bundle as challenger."""

import logging
import sys
from functools import partial

import pandas as pd

from pipelines.data import revisions
from pipelines.data.input.cache import fetch
from pipelines.data.prepare.segmenters import fetch_segmenter
from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS, Row
from pipelines.errors import TrainingError
from pipelines.evaluation import (
    calibration,
    cells,
    decisions,
    geometry,
    head,
    novelty,
    operating_point,
)
from pipelines.evaluation.predictions import batches
from pipelines.evaluation.record import read_predictions, require_evaluation
from pipelines.locks import alone
from pipelines.outputs import Challenger, Evaluated, Prepared
from pipelines.release import build, bundle, export, registry, same_pixels, trust
from pipelines.release.build import Origin, Original, build_bundle
from pipelines.release.report import Selection, place
from pipelines.spec import DatasetSpec, Metric
from pipelines.stage import Context, code_version, fingerprint
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.keras_models import fetch_model
from pipelines.tracking.versions import Registered

logger = logging.getLogger(__name__)

CANARY_PER_CLASS = 2


def run(
    spec: DatasetSpec, context: Context, prepared: Prepared, evaluated: list[Evaluated]
) -> Challenger:
    """Register the best candidate; the same winner again makes no second version.

    Raises:
        TrainingError: no candidate can serve.
        NotFound: its run has no model or predictions, or the snapshot is gone.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    best = winner(evaluated, spec.selection.metric)
    identity = fingerprint(best.id, _said(spec), _code())
    # Two selections at once would build in one folder and register the same bundle twice.
    with alone(context.settings.work / "selection" / spec.name):
        registered = _standing(tracking, spec.name, identity)
        if registered is None:
            registered = _register(spec, context, prepared, best, identity=identity)
    champion = versions.holder(tracking, spec.name, "champion")
    serves = champion is not None and champion.version == registered.version
    if not serves:
        selection = Selection(
            metric=spec.selection.metric, chosen=best.candidate, candidates=evaluated
        )
        file = place(registered.version, "selection.json")
        tracking.upload_json(registered.run_id, file, selection.model_dump(mode="json"))
        with registry.releasing(context, spec.name):
            versions.set_alias(tracking, spec.name, "challenger", version=registered.version)
    return Challenger(
        dataset=spec.name,
        id=identity,
        candidate=best.candidate,
        run_id=registered.run_id,
        version=registered.version,
        standing=serves,
    )


def _code() -> str:
    """What decides what a bundle holds."""
    measured = (head, cells, geometry, calibration, novelty, operating_point, decisions)
    return code_version(sys.modules[__name__], bundle, build, export, same_pixels, trust, *measured)


def winner(evaluated: list[Evaluated], metric: Metric) -> Evaluated:
    """The candidate with the best figure on validation, of those that can serve; the first of
    equals.

    Raises:
        TrainingError: none of them can serve.
    """
    if not evaluated:
        raise TrainingError(
            "Every candidate was left out, as the pretrained weights of none can be had here; "
            "MLflow shows why. Get the weights, or name a candidate that needs none."
        )
    able = [candidate for candidate in evaluated if candidate.servable]
    if not able:
        names = ", ".join(candidate.candidate for candidate in evaluated)
        raise TrainingError(
            f"No bundle can be made of {names}: handmade features are for comparison only. "
            "Train a network beside them (medloop retrain DATASET --candidate NAME)."
        )
    return max(able, key=lambda candidate: candidate.validation[metric])


def _said(spec: DatasetSpec) -> list[object]:
    """What a bundle says that stands in the spec."""
    classes = [c.model_dump(mode="json") for c in spec.classes]
    sections = (spec.limits, spec.image, spec.abstention, spec.review, spec.bundle)
    said = [section.model_dump() for section in sections]
    return [spec.title, spec.synthetic, spec.disclaimer, classes, *said]


def _standing(tracking: Tracking, dataset: str, identity: str) -> Registered | None:
    for registered in versions.every(tracking, dataset):
        if registered.tags.get(versions.BUNDLE_TAG) == identity:
            logger.info("%s: version %d is this bundle already", dataset, registered.version)
            return registered
    return None


def _register(
    spec: DatasetSpec, context: Context, prepared: Prepared, best: Evaluated, *, identity: str
) -> Registered:
    tracking = open_tracking(context.settings)
    test = read_predictions(tracking, best.run_id, "test")
    data = fetch(context, prepared)
    folder = build_bundle(
        context.settings.work / "bundles" / identity,
        spec=spec,
        model_file=fetch_model(tracking, best.run_id, cache=context.settings.cache),
        origin=_origin(tracking, context, prepared, best),
        data=partial(batches, data),
        canary=_canary(context, prepared, test),
    )
    artifact = f"bundles/{identity}"
    tracking.upload(best.run_id, folder, folder=artifact)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in best.test.items())
    return versions.register(
        tracking,
        spec.name,
        run_id=best.run_id,
        artifact=artifact,
        about=f"**{best.candidate}** on `{prepared.snapshot}`. Test set: {figures}.",
        tags={
            versions.BUNDLE_TAG: identity,
            versions.CANDIDATE_TAG: best.candidate,
            versions.SNAPSHOT_TAG: prepared.snapshot,
            versions.SPLIT_TAG: prepared.split,
        },
    )


def _origin(tracking: Tracking, context: Context, prepared: Prepared, best: Evaluated) -> Origin:
    segmenter = prepared.segmenter
    evaluation = require_evaluation(tracking, best.run_id, best.candidate)
    return Origin(
        best.candidate,
        best.run_id,
        prepared,
        metrics=best.test | {"ece": evaluation.calibration["test"].after.ece},
        temperature=evaluation.temperature,
        thresholds=evaluation.thresholds,
        finder=fetch_segmenter(context, segmenter) if segmenter else None,
    )


def _canary(context: Context, prepared: Prepared, test: pd.DataFrame) -> list[Original]:
    """A few originals of each class of the test set: those with the least sha256, a fair draw.

    Where these lack a format and mode that the snapshot has, its image with the least sha256 is
    added, of the test set if there is one: so the bundle can prove how it is decoded.
    """
    snapshot = revisions.at(context, prepared.snapshot)
    drawn = test.sort_values(["sha256", "source_path"]).groupby("label").head(CANARY_PER_CLASS)
    drawn_columns = (drawn[name].tolist() for name in ("sha256", "source_path", "label"))
    label_of = {(path, sha256): label for sha256, path, label in zip(*drawn_columns, strict=True)}
    columns = [*PACK_COLUMNS, "label", "format", "mode"]
    index = revisions.files(context, snapshot, columns).to_pylist()
    rows = [row for row in index if _key_of(row) in label_of]
    rows += _other_encodings(index, rows, test)
    label_of |= {_key_of(row): row["label"] for row in rows if _key_of(row) not in label_of}
    chosen = [
        Original(
            name=row["source_path"].rpartition("/")[2],
            label=label_of[_key_of(row)],
            content=content,
        )
        for row, content in originals(context, rows)
    ]
    return sorted(chosen, key=lambda image: (image.label, image.name))


def _key_of(row: Row) -> tuple[str, str]:
    return row["source_path"], row["sha256"]


def _other_encodings(index: list[Row], chosen: list[Row], test: pd.DataFrame) -> list[Row]:
    """One image of each format and mode that the chosen ones lack."""
    tested = set(zip(test["source_path"], test["sha256"], strict=True))
    found = {(row["format"], row["mode"]) for row in chosen}
    others: dict[tuple[str, str], Row] = {}
    for row in sorted(index, key=lambda row: (_key_of(row) not in tested, row["sha256"])):
        encoding = (row["format"], row["mode"])
        if encoding not in found:
            others.setdefault(encoding, row)
    return list(others.values())
