"""What the gate's rules judge, gathered: the evaluation, the bundle's answers, the champion's."""

import logging
import math
from collections.abc import Mapping

import numpy as np

from pipelines.data.input.cache import fetch
from pipelines.errors import BundleError, NotFound
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.predictions import labels_of
from pipelines.evaluation.record import read_predictions, require_evaluation
from pipelines.evidence.memberships import memberships
from pipelines.evidence.subject import Subject
from pipelines.outputs import Challenger, Prepared, Verdict
from pipelines.release import registry, rules
from pipelines.release.bundle import KERAS, Bundle, load_bundle
from pipelines.release.comparison import Comparison, bundle_answers, compare
from pipelines.release.references import References
from pipelines.release.report import Judgement
from pipelines.release.rules import Evidence, Reference
from pipelines.release.runtime import difference
from pipelines.spec import DatasetSpec, Metric
from pipelines.stage import Context
from pipelines.tracking.client import open_tracking
from pipelines.tracking.inputs import trained_on

logger = logging.getLogger(__name__)

BEST = " (the best champion so far)"


def judge(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    challenger: Challenger,
    *,
    compared: References,
    identity: str,
) -> Judgement:
    """Hold a challenger against every rule of its spec.

    Args:
        spec: with the rules.
        context: settings and store.
        prepared: the training set with the test images.
        challenger: what is judged.
        compared: the versions it is compared with.
        identity: of the verdict.

    Raises:
        NotFound: the challenger was not evaluated, or its bundle is gone.
        BundleError: a bundle is not whole, or holds another model than was evaluated.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    evaluation = require_evaluation(tracking, challenger.run_id, challenger.candidate)
    bundle = load_bundle(registry.fetch(context, spec.name, challenger.version))
    _require_evaluated(bundle, evaluation.model_sha256)
    data = fetch(context, prepared)
    rows = read_predictions(tracking, challenger.run_id, "test")
    subject = Subject(
        spec,
        context,
        prepared,
        challenger.candidate,
        data,
        None,
        rows,
        temperature=evaluation.temperature,
        thresholds=evaluation.thresholds,
    )
    champion, best = compared.champion, compared.best
    beside = _beside(subject, champion) if champion else Comparison()
    lasting = _lasting(subject, best) if best else Comparison()
    keras, answered = subject.answers("test"), bundle_answers(bundle, data)
    ours = Decisions.by_thresholds(answered, spec.class_names, bundle.manifest.thresholds)
    labels = labels_of(rows, spec.class_names)
    apart = difference(answered.astype(np.float64), keras.probabilities)
    served = evaluation.splits["test"]
    evidence = Evidence(
        classes=spec.class_names,
        challenger=served.figures,
        intervals=served.intervals,
        bundle_difference=apart,
        precision=bundle.manifest.precision,
        bundle_loss=float(keras.right(labels).mean() - ours.right(labels).mean()),
        references=_references({champion: beside, best: lasting}, best=best),
        found=evaluation.evidence,
        same_images=trained_on(tracking, challenger.run_id) in (None, prepared.id),
    )
    judged, unknown = rules.judge(spec.gate, spec.selection.metric, evidence)
    verdict = Verdict(
        dataset=spec.name,
        id=identity,
        version=challenger.version,
        passed=all(one.passed for one in judged),
        champion=champion,
        best=best,
        rules=judged,
    )
    return Judgement(
        verdict=verdict,
        images=len(rows),
        compared_images=beside.images,
        left_out=beside.left_out,
        bundle_difference=apart,
        challenger=served.figures,
        intervals=served.intervals,
        challenger_compared=beside.challenger,
        champion_compared=beside.champion,
        differences=beside.differences,
        tests=beside.tests,
        best_champion=_better({champion: beside, best: lasting}, spec.selection.metric),
        notes=[*dict.fromkeys([*beside.notes, *_also(best, lasting)]), *verdict.notes, *unknown],
    )


def _also(best: int | None, compared: Comparison) -> list[str]:
    if not compared.images:
        return compared.notes
    also = f"Also compared with version {best}, the best champion so far, on {compared.images:,} "
    return [f"{also}test images.", *compared.notes]


def _lasting(subject: Subject, best: int) -> Comparison:
    """The challenger beside the best champion so far; a note where its bundle is gone."""
    try:
        return _beside(subject, best)
    except (NotFound, BundleError) as error:
        note = f"Version {best}, the best champion so far, cannot be compared: {error}"
        logger.warning("%s: %s", subject.spec.name, note)
        return Comparison(notes=[note])


def _references(
    compared: Mapping[int | None, Comparison], *, best: int | None
) -> tuple[Reference, ...]:
    return tuple(
        Reference(
            name=f"version {version}" + (BEST if version == best else ""),
            differences=one.differences,
            independent=one.independent,
            subgroups=one.subgroups,
        )
        for version, one in compared.items()
        if version is not None
    )


def _better(compared: Mapping[int | None, Comparison], metric: Metric) -> int | None:
    """The version with the best figure: the one that the challenger exceeds least."""
    exceeds = {
        version: one.differences[metric].value if metric in one.differences else math.inf
        for version, one in compared.items()
        if version is not None
    }
    return min(exceeds, key=lambda version: exceeds[version], default=None)


def _beside(subject: Subject, champion: int) -> Comparison:
    """The challenger beside another version, on the whole and in every subgroup."""
    spec, context = subject.spec, subject.context
    compared = compare(
        spec,
        context,
        subject.prepared,
        champion=registry.fetch(context, spec.name, champion),
        data=subject.data,
        rows=subject.of("test"),
        ours=subject.answers("test"),
        parts=memberships(subject.facts_of("test")),
    )
    for note in compared.notes:
        logger.warning("%s: %s", spec.name, note)
    return compared


def _require_evaluated(bundle: Bundle, sha256: str | None) -> None:
    if bundle.manifest.files[KERAS] != sha256:
        raise BundleError(
            f"Bundle {bundle.folder}: its model.keras is not the file that was evaluated. "
            "Evaluate and select the candidate again."
        )
