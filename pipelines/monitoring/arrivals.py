"""New images: what has landed since the snapshot that the champion learnt from."""

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from pipelines.data import revisions
from pipelines.data.revisions import Row, in_order, latest, number_of
from pipelines.monitoring.ask import ASKED, ask
from pipelines.monitoring.judge import LEAST_ROWS, judge
from pipelines.monitoring.performance import measure_performance
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.state import JudgedSnapshot
from pipelines.release.bundle import BundleManifest
from pipelines.release.predictor import Predictor
from pipelines.spec import DatasetSpec
from pipelines.stage import Context

MOST_ASKED = 500
"""New images of a snapshot that the champion is asked about, drawn by chance."""


def new_images(context: Context, manifest: BundleManifest) -> dict[str, list[Row]]:
    """Images that no snapshot held when the model learnt.

    Args:
        context: settings and store.
        manifest: of the model's bundle.

    Returns:
        Id of the snapshot that added them → files with `ASKED` and ``landed_sha256``, by the order
        of snapshots; each picture once.
    """
    newest = latest(context, manifest.dataset)
    if newest is None or newest.path == manifest.snapshot:
        return {}
    then = revisions.at(context, manifest.snapshot)
    learnt = revisions.state(context, then, ["sha256"])["sha256"]
    columns = [*ASKED, "landed_sha256", "first_revision"]
    files = revisions.files(context, newest, columns)
    for name in ("sha256", "landed_sha256"):
        files = files.filter(pc.invert(pc.is_in(files[name], value_set=learnt)))
    names = context.store.names(f"{manifest.dataset}/snapshots")
    named = {number_of(name): name for name in in_order(names)}
    added: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for row in files.to_pylist():
        added[named.get(row["first_revision"], newest.id)].setdefault(row["sha256"], row)
    return {name: list(added[name].values()) for name in in_order(added)}


def landed_labels(arrived: dict[str, list[Row]]) -> dict[str, str]:
    """sha256 → class of new images: of their files as they landed, as the service is asked."""
    return {
        row["landed_sha256"] or row["sha256"]: row["label"]
        for rows in arrived.values()
        for row in rows
    }


def judge_arrivals(
    spec: DatasetSpec,
    context: Context,
    reference: Reference,
    predictor: Predictor,
    *,
    snapshot: str,
    rows: Sequence[Row],
) -> JudgedSnapshot:
    """Hold the images that a snapshot added against the reference, and the champion's answers
    against their labels.

    Args:
        spec: the data set.
        context: settings and store.
        reference: of the champion.
        predictor: the champion.
        snapshot: its id.
        rows: the images.

    Raises:
        Unavailable: the store does not answer.
    """
    if len(rows) < LEAST_ROWS:
        return JudgedSnapshot(id=snapshot, added=len(rows), asked=0)
    chosen = random.Random(snapshot).sample(rows, min(MOST_ASKED, len(rows)))
    asked = ask(context, predictor, chosen)
    known = np.flatnonzero(asked.labels >= 0)
    answers = asked.answers.take(known)
    return JudgedSnapshot(
        id=snapshot,
        added=len(rows),
        asked=len(asked.labels),
        findings=tuple(judge(reference, asked.answers, spec.monitor)),
        measured=measure_performance(
            answers.decisions,
            asked.labels[known],
            groups=answers.groups,
            seed=spec.split.seed,
        ),
    )
