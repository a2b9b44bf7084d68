"""Measure a trained candidate on the validation and the leak-free test split.

All that was found goes to the candidate's run in MLflow: figures as metrics, each image's
answer as ``evaluation/predictions.parquet``, pictures below ``figures/``, all of it on one page as
``evaluation/report.html``, and ``evaluation/evaluation.json`` last of all. Where that stands,
nothing is done again.
"""

import logging
import sys
import tempfile
from pathlib import Path

import pandas as pd

from pipelines.data import external
from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import TrainingSet
from pipelines.documents import html
from pipelines.evaluation import (
    answers,
    calibration,
    decisions,
    figures,
    gallery,
    intervals,
    judging,
    metrics,
    network,
    operating_point,
    predictions,
    report,
    selective,
    targets,
    trust_figures,
    weighted,
)
from pipelines.evaluation.calibration import fit_temperature, reliability, softmax
from pipelines.evaluation.judging import judge, judge_trust, thresholds_of
from pipelines.evaluation.network import Network
from pipelines.evaluation.operating_point import Thresholds
from pipelines.evaluation.predictions import (
    labels_of,
    logits_of,
    predict,
    with_decisions,
    with_probabilities,
)
from pipelines.evaluation.record import (
    FOLDER,
    PAGE,
    PREDICTIONS,
    REPORT,
    Evaluation,
    SplitFigures,
    read_evaluation,
)
from pipelines.evidence import gather
from pipelines.evidence.heat import Explainer
from pipelines.evidence.subject import Subject
from pipelines.evidence.test_uses import note_look
from pipelines.outputs import Evaluated, Prepared, SplitName, Trained
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, code_version, fingerprint
from pipelines.tracking import runs
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.keras_models import fetch_model

logger = logging.getLogger(__name__)

SPLITS: tuple[SplitName, ...] = ("validation", "test")
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def run(spec: DatasetSpec, context: Context, prepared: Prepared, trained: Trained) -> Evaluated:
    """Evaluate one candidate; a finished evaluation is not repeated.

    Raises:
        NotFound: the run has no model, or the training set is gone.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    elsewhere = external.snapshots(spec, context)
    asked = (trained.id, prepared.id, spec.operating, spec.findings, *elsewhere.values())
    identity = fingerprint(*asked, _code())
    standing = read_evaluation(tracking, trained.run_id)
    if standing and standing.id == identity:
        logger.info("%s: %s is evaluated already", spec.name, trained.candidate)
        return standing.evaluated(spec.name)
    cache = context.settings.cache
    data = fetch(context, prepared)
    note_look(tracking, trained.run_id, data, evaluation=identity)
    candidate, rows = _asked(tracking, trained.run_id, data, cache=cache)
    validation = rows[rows["split"] == "validation"]
    temperature = fit_temperature(
        logits_of(validation, data.classes), labels_of(validation, data.classes)
    )
    rows = with_probabilities(rows, data.classes, temperature=temperature)
    thresholds = thresholds_of(spec, rows[rows["split"] == "validation"])
    rows = with_decisions(rows, data.classes, thresholds)
    subject = Subject(
        spec,
        context,
        prepared,
        trained.candidate,
        data,
        candidate,
        rows,
        temperature=temperature,
        thresholds=thresholds,
    )
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        found = _find(subject, trained, identity, drawn=Path(folder))
        tracking.upload(trained.run_id, Path(folder), folder="figures")
        page = html.page(report.document(spec, found, Path(folder)))
        tracking.upload_text(trained.run_id, PAGE, page)
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        rows.to_parquet(Path(folder) / Path(PREDICTIONS).name, index=False)
        tracking.upload(trained.run_id, Path(folder), folder=FOLDER)
    _record(tracking, found)
    return found.evaluated(spec.name)


def _find(subject: Subject, trained: Trained, identity: str, *, drawn: Path) -> Evaluation:
    """Judge a candidate, and draw what is to be seen into ``drawn``."""
    data, thresholds = subject.data, subject.thresholds
    found = Evaluation(
        id=identity,
        candidate=trained.candidate,
        run_id=trained.run_id,
        classes=data.classes,
        prepared=subject.prepared.path,
        model_sha256=subject.network and subject.network.sha256,
        resamples=intervals.RESAMPLES,
        splits=_judged(subject, thresholds),
        temperature=subject.temperature,
        thresholds=None if thresholds is None else dict(thresholds),
        likeliest=_judged(subject, None) if thresholds else {},
        calibration={split: judge_trust(subject.of(split), data.classes) for split in SPLITS},
        answered=_answered(subject),
        evidence=gather.gather(subject, drawn),
    )
    _draw(drawn, found, subject)
    return found


def _judged(subject: Subject, thresholds: Thresholds | None) -> dict[SplitName, SplitFigures]:
    return {
        split: judge(subject.spec, subject.of(split), thresholds=thresholds) for split in SPLITS
    }


def _asked(
    tracking: Tracking, run_id: str, data: TrainingSet, *, cache: Path
) -> tuple[Network | None, pd.DataFrame]:
    """A run's network, if it has one, and its candidate's logits on the held-out images."""
    if answers.has_answers(tracking, run_id):
        return None, answers.read_answers(tracking, run_id, data, SPLITS)
    network = Network.load(fetch_model(tracking, run_id, cache=cache))
    return network, predict(network, data, SPLITS)


def _code() -> str:
    """What decides a figure."""
    asked = (sys.modules[__name__], predictions, answers, calibration, operating_point, selective)
    measured = (decisions, judging, metrics, network, targets, weighted, intervals)
    return fingerprint(code_version(*asked, *measured), gather.code())


def _answered(subject: Subject) -> dict[str, float]:
    labels, answers = subject.labels("test"), subject.answers("test")
    return {f"{c:.0%}": selective.accuracy_at(labels, answers, c) for c in COVERAGES}


def _draw(folder: Path, found: Evaluation, subject: Subject) -> None:
    classes, bounds = found.classes, found.splits["test"].intervals
    test, labels, answers = subject.of("test"), subject.labels("test"), subject.answers("test")
    probabilities = answers.probabilities
    title = f"{subject.title} on {len(test):,} test images"
    drawn = {
        "confusion_matrix": figures.confusion_matrices(
            {
                way: metrics.confusion(labels, one)
                for way, one in (("as served", answers), ("argmax", answers.likeliest))
                if way == "as served" or found.thresholds
            },
            classes,
            title=title,
        ),
        "roc": figures.roc(labels, probabilities, classes, intervals=bounds, title=title),
        "precision_recall": figures.precision_recall(
            labels, probabilities, classes, intervals=bounds, title=title
        ),
        "reliability": trust_figures.reliability_diagram(
            {
                "as the model says": reliability(softmax(logits_of(test, classes), 1), labels),
                f"temperature {found.temperature:.2f}": reliability(probabilities, labels),
            },
            title=title,
        ),
        "risk_coverage": trust_figures.risk_by_coverage(labels, answers, title=title),
    }
    if subject.network is not None:
        chosen = gallery.choose(test, classes)
        positions = [i for hits, misses in chosen.values() for i in (*hits, *misses)]
        examples = gallery.explain(Explainer(subject.network), subject.data, test, positions)
        drawn["gradcam"] = gallery.draw(chosen, examples, title=f"{title}: hits left, misses right")
    for name, figure in drawn.items():
        figures.save(figure, folder / f"{name}.png")


def _record(tracking: Tracking, found: Evaluation) -> None:
    run_id = found.run_id
    for split in found.splits:
        named = found.named(split) | found.calibration[split].named(split)
        runs.log_metrics(tracking, run_id, named)
    for kind, finding in found.evidence.items():
        named = {f"{kind}.{name}": value for name, value in finding.figures.items()}
        runs.log_metrics(tracking, run_id, named)
    runs.log_metrics(tracking, run_id, {"temperature": found.temperature})
    runs.set_tags(tracking, run_id, {"mlflow.note.content": found.note()})
    tracking.upload_json(run_id, REPORT, found.model_dump(mode="json"))
