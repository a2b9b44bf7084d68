"""The champion's predictions for every image of a snapshot or a folder: the stage.

Scores appear whole or not at all: a task that is lost is done again by Spark, and a driver that
is killed leaves nothing but a hidden folder, which the next run clears away.
"""

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pipelines.decoding import pixel_version
from pipelines.errors import NotFound
from pipelines.evaluation import (
    abstention,
    calibration,
    cells,
    decisions,
    gradcam,
    novelty,
    operating_point,
    overlay,
)
from pipelines.outputs import Scores
from pipelines.provenance import git_commit
from pipelines.release import predictor, runtime
from pipelines.release.bundle import BundleManifest, load_bundle
from pipelines.scoring import answers, spark_job, worker
from pipelines.scoring.spark_job import Tally
from pipelines.scoring.subjects import Subject
from pipelines.spark.session import spark_session
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, existing_output, fingerprint

logger = logging.getLogger(__name__)


def run(
    spec: DatasetSpec, context: Context, bundle: Path, *, subject: Subject, overlays: bool = False
) -> Scores:
    """Score every image of a subject; does nothing where the scores stand already.

    Args:
        spec: the data set.
        context: settings and store.
        bundle: folder of the champion's bundle.
        subject: the images; see `pipelines.scoring.subjects`.
        overlays: whether to keep a Grad-CAM overlay of each image, too.

    Raises:
        BundleError: the bundle is altered, or does not answer as it says.
        NotFound: the snapshot lacks images that its index lists.
        StackError: Java is missing, or Spark does not start.
        Unavailable: Spark gave the job up (executors lost again and again, the store away).
    """
    manifest = load_bundle(bundle).manifest
    code = _code(finder=manifest.image.crop == "lesion")
    identity = context.identity(
        manifest.digest, manifest.model_version, subject.identity, overlays, code
    )
    path = f"{spec.name}/scores/{identity}"
    if (done := existing_output(context, path, Scores)) is not None:
        logger.info("The scores %s stand already", context.store.uri(path))
        return done
    began = time.monotonic()
    with (
        context.store.commit(path) as staging,
        spark_session(context.settings, name=f"score {spec.name}") as spark,
    ):
        tally = spark_job.score(
            spark,
            context,
            subject,
            bundle=bundle,
            manifest=manifest,
            target=staging,
            cache=context.settings.cache,
            overlays=overlays,
        )
        _require_all(subject, tally)
        scores = Scores(
            dataset=spec.name,
            id=identity,
            path=path,
            snapshot=subject.snapshot_path,
            source=subject.place,
            version=manifest.model_version,
            run_id=manifest.run_id,
            seconds=round(time.monotonic() - began, 1),
            **_counts(manifest, tally),
        )
        about = _manifest(scores, manifest, subject, overlays=overlays)
        context.store.write_json(f"{staging}/{MANIFEST}", about)
    return scores


def _code(*, finder: bool = False) -> str:
    """What decides an answer."""
    ours = (answers, worker, predictor, runtime)
    decided = (operating_point, decisions, abstention)
    theirs = (calibration, novelty, gradcam, cells, overlay)
    return fingerprint(code_version(*ours, *decided, *theirs), pixel_version(finder=finder))


def _require_all(subject: Subject, tally: Tally) -> None:
    found = sum(tally.values())
    if found != subject.images:
        raise NotFound(
            f"{found:,} of {subject.images:,} images were scored: the packed files of the "
            "snapshot hold others than its index says. Ingest the images again."
        )


def _counts(manifest: BundleManifest, tally: Tally) -> dict[str, Any]:
    predicted: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    abstained = review = 0
    for kind, images in tally.items():
        if kind.reason is not None:
            unreadable[kind.reason] += images
        else:
            predicted[str(kind.predicted)] += images
            abstained += images * bool(kind.abstained)
            review += images * bool(kind.review)
    return {
        "images": sum(tally.values()),
        "predicted": {name: predicted[name] for name in manifest.class_names},
        "abstained": abstained,
        "review": review,
        "unreadable": dict(sorted(unreadable.items())),
    }


def _manifest(
    scores: Scores, manifest: BundleManifest, subject: Subject, *, overlays: bool
) -> dict[str, Any]:
    return {
        "output": scores.model_dump(mode="json"),
        "bundle": manifest.digest,
        "classes": list(manifest.class_names),
        "overlays": overlays,
        "subject": subject.identity,
        "trained_from": {"snapshot": manifest.snapshot, "git_commit": manifest.git_commit},
        "git_commit": git_commit(),
    }
