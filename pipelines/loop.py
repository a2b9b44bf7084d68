"""The retraining loop, one function a step: what a DAG's task and a shell command both call.

Each function takes the data set's name and what earlier steps returned (as objects, or as the
plain JSON that Airflow passes on) and returns its own small output. Everything heavy is imported
inside, so that this page costs nothing to import. ``fresh``, where a function takes it, is the
name of a run that uses nothing that stands, but for the snapshot of originals.

    land → check_landing → ingest → split → check_snapshot → prepare → check_prepared
         → train, evaluate (each candidate) → select → gate → canary → promote | refuse
"""

import io
import logging
from pathlib import Path
from typing import Any, Literal

from pydantic import validate_call

from pipelines.alerts.alert import alert_key
from pipelines.alerts.send import resolve, send
from pipelines.outputs import (
    Answer,
    Challenger,
    CheckReport,
    Enough,
    Evaluated,
    Landing,
    Monitored,
    Prepared,
    Profile,
    Question,
    Release,
    Scores,
    Snapshot,
    Split,
    Trained,
    Verdict,
    Waker,
)
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context, default_context

logger = logging.getLogger(__name__)


def _open(dataset: str, *, fresh: str | None = None) -> tuple[DatasetSpec, Context]:
    return load_spec(dataset), default_context(fresh=fresh)


def landing_folder(dataset: str, named: str | None = None) -> str:
    """Where the images of a run are: the named folder, or the data set's own; a path or URI."""
    from pipelines.data.sources import landing_place, place_of

    return place_of(named) if named else landing_place(load_spec(dataset), get_settings())


@validate_call
def land(dataset: str, source: str | None = None, fresh: str | None = None) -> Landing:
    """Open and judge every file of a landing folder (the data set's own if none is named)."""
    from pipelines.data import landing

    spec, context = _open(dataset, fresh=fresh)
    return landing.run(spec, context, source or landing_folder(dataset))


@validate_call
def check_landing(dataset: str, landing: Landing, fresh: str | None = None) -> CheckReport:
    """Hold the landed files against ``expectations/landing.py``."""
    from pipelines.data import checks

    spec, context = _open(dataset, fresh=fresh)
    return checks.check_landing(spec, context, landing)


@validate_call
def ingest(dataset: str, landing: Landing) -> Snapshot:
    """Pack what was accepted into an immutable snapshot, and the rest into quarantine."""
    from pipelines.data import ingest

    spec, context = _open(dataset)
    return ingest.run(spec, context, landing)


@validate_call
def enough(dataset: str, snapshot: Snapshot, woken_by: Waker) -> Enough:
    """Count the images that the champion has not seen; are they enough to train anew?

    Only asked of runs that the landing folder woke: all others go on whatever the answer.
    """
    from pipelines.data import enough

    spec, context = _open(dataset)
    return enough.run(spec, context, snapshot, woken_by=woken_by)


@validate_call
def proceed(enough: Enough) -> Literal["split", "too_few"]:
    """Which way a run goes after its images are in the snapshot."""
    return "split" if enough.enough else "too_few"


@validate_call
def too_few(dataset: str, enough: Enough) -> None:
    """Say that the new images are kept, but too few to train for."""
    logger.info("%s: %s; they are in the snapshot, nothing is trained", dataset, enough.said)


def latest_snapshot(dataset: str) -> Snapshot:
    """The newest snapshot.

    Raises:
        NotFound: nothing was ingested yet.
    """
    from pipelines.data import snapshots

    return snapshots.require(default_context(), dataset)


@validate_call
def split(dataset: str, snapshot: Snapshot, fresh: str | None = None) -> Split:
    """Find duplicates and divide groups into training, validation and test."""
    from pipelines.data import split

    spec, context = _open(dataset, fresh=fresh)
    return split.run(spec, context, snapshot)


def leak_report(dataset: str) -> Path:
    """A local copy of the newest split's report: what was copied, what leaked, in pictures."""
    _, context = _open(dataset)
    report = context.settings.home / "reports" / f"{dataset}-leaks.html"
    context.store.download(f"{split(dataset, latest_snapshot(dataset)).path}/report.html", report)
    return report


@validate_call
def check_snapshot(dataset: str, snapshot: Snapshot, split: Split) -> CheckReport:
    """Hold a snapshot and its split against ``expectations/snapshot.py``."""
    from pipelines.data import checks

    spec, context = _open(dataset)
    return checks.check_snapshot(spec, context, snapshot, split)


@validate_call
def prepare(dataset: str, snapshot: Snapshot, split: Split) -> Prepared:
    """Turn originals into model-ready shards with Spark."""
    from pipelines.data import prepare

    spec, context = _open(dataset)
    return prepare.run(spec, context, snapshot, split)


@validate_call
def check_prepared(dataset: str, prepared: Prepared) -> CheckReport:
    """Hold the shards against ``expectations/prepared.py``."""
    from pipelines.data import checks

    spec, context = _open(dataset)
    return checks.check_prepared(spec, context, prepared)


def candidates(dataset: str, wanted: list[str] | None = None) -> list[str]:
    """Names of the candidates to train: those wanted, or all that are not optional.

    Raises:
        SpecError: a wanted candidate is not in the spec.
    """
    spec = load_spec(dataset)
    return [spec.candidate(name).name for name in wanted or spec.usual_candidates]


@validate_call
def train(dataset: str, prepared: Prepared, candidate: str) -> Trained:
    """Train one candidate, as a run in MLflow."""
    from pipelines.training import candidate as training

    spec, context = _open(dataset)
    return training.run(spec, context, prepared, candidate)


@validate_call
def evaluate(dataset: str, prepared: Prepared, trained: Trained) -> Evaluated:
    """Measure one candidate on the validation and the leak-free test split."""
    from pipelines.evaluation import evaluate

    spec, context = _open(dataset)
    return evaluate.run(spec, context, prepared, trained)


@validate_call
def select(dataset: str, prepared: Prepared, evaluated: list[Evaluated] | Evaluated) -> Challenger:
    """Register the best candidate's inference bundle as ``challenger``."""
    from pipelines.release import select

    spec, context = _open(dataset)
    # Airflow hands over the output of a group that was mapped over one candidate without its list.
    every = evaluated if isinstance(evaluated, list) else [evaluated]
    return select.run(spec, context, prepared, every)


@validate_call
def gate(dataset: str, prepared: Prepared, challenger: Challenger) -> Verdict:
    """Judge the challenger by the spec's rules, beside the champion."""
    from pipelines.release import gate

    spec, context = _open(dataset)
    return gate.run(spec, context, prepared, challenger)


@validate_call
def decide(challenger: Challenger, verdict: Verdict) -> Literal["canary", "refuse", "unchanged"]:
    """Which way a run goes after the gate."""
    if challenger.standing:
        return "unchanged"
    return "canary" if verdict.passed else "refuse"


@validate_call
def canary(dataset: str, challenger: Challenger) -> int:
    """Ask the real service, with the challenger's bundle, before anything moves.

    Returns:
        The version that answered well.
    """
    from pipelines.release import canary

    spec, context = _open(dataset)
    canary.run(spec, context, challenger)
    return challenger.version


@validate_call
def unchanged(dataset: str, challenger: Challenger) -> None:
    """Say that the best candidate serves already."""
    logger.info("%s: version %d is the best and serves already", dataset, challenger.version)


@validate_call
def ask(dataset: str, verdict: Verdict, version: int) -> Question:
    """Word the question to a person: may the version that the canary answered with serve?"""
    from pipelines.release import approval

    assert version == verdict.version, "the canary tries the version that was judged"
    spec, context = _open(dataset)
    return approval.question(spec, context, verdict)


@validate_call
def settle(dataset: str, question: Question, response: dict[str, Any]) -> Answer:
    """Record what was answered, by whom and why; tell it where it was no."""
    from pipelines.release import approval, refusals

    spec, context = _open(dataset)
    answer = approval.settle(spec, context, question, approval.Response.model_validate(response))
    if not answer.approved:
        send(context.settings, refusals.by_person(context.settings, answer))
    resolve(context.settings, alert_key("approval_wanted", dataset, f"retrain_{dataset}"))
    return answer


@validate_call
def score(
    dataset: str,
    snapshot: str | None = None,
    source: str | None = None,
    *,
    overlays: bool = False,
) -> Scores:
    """Let the champion answer for each image of a snapshot (its id; the newest if neither is
    named), or for each file of the folder ``source``."""
    from pipelines.release import registry
    from pipelines.scoring import score, subjects

    spec, context = _open(dataset)
    bundle = registry.fetch_champion(context, dataset)
    images = subjects.choose(spec, context, snapshot=snapshot, source=source)
    return score.run(spec, context, bundle, subject=images, overlays=overlays)


@validate_call
def promote(dataset: str, version: int | None = None) -> Release:
    """Make a version (the challenger if none is named) the champion."""
    from pipelines.release import registry

    _, context = _open(dataset)
    return registry.promote(context, dataset, version)


@validate_call
def rollback(dataset: str, version: int | None = None) -> Release:
    """Make the previous champion (or a named version) the champion again."""
    from pipelines.release import registry

    _, context = _open(dataset)
    return registry.rollback(context, dataset, version)


@validate_call
def refuse(dataset: str, verdict: Verdict) -> Verdict:
    """Mark the challenger as refused, with the gate's reasons; the champion stays."""
    from pipelines.release import refusals, registry

    spec, context = _open(dataset)
    registry.refuse(spec, context, verdict)
    send(context.settings, refusals.by_gate(context.settings, verdict))
    return verdict


def watched(dataset: str) -> bool:
    """Whether there is a champion to watch."""
    from pipelines.release import registry

    _, context = _open(dataset)
    return registry.champion(context, dataset) is not None


@validate_call
def profile(dataset: str) -> Profile:
    """Make the reference profile of the champion: what its answers look like while all is well."""
    from pipelines.monitoring import monitor

    _, context = _open(dataset)
    return monitor.profile(context, dataset)


@validate_call
def monitor(dataset: str) -> Monitored:
    """Judge what the champion was asked, and what has landed, since the last time; tell of it."""
    from pipelines.monitoring import monitor

    spec, context = _open(dataset)
    return monitor.run(spec, context)


@validate_call
def drift_confirmed(monitored: Monitored) -> bool:
    """Whether drift is confirmed and nobody was woken for it yet."""
    return monitored.confirmed


@validate_call
def confirm_drift(dataset: str, monitored: Monitored) -> None:
    """Note that confirmed drift has woken who waits for it: once for each time that it comes."""
    from pipelines.monitoring import monitor

    _, context = _open(dataset)
    monitor.woken(context, dataset)
    logger.warning("%s: drift is confirmed; see %s", dataset, monitored.report)


def label(dataset: str, file: Path) -> int:
    """Keep the true classes of answers, from a CSV file; how many there were."""
    from pipelines.monitoring import labels

    spec, context = _open(dataset)
    return labels.note_labels(context.store, spec, file)


def example(dataset: str, place: str, label: str) -> Path:
    """A local file of the first accepted image, by path, of one class of a landing folder."""
    import pandas as pd

    from pipelines.data.originals import LandedFiles
    from pipelines.data.pseudonyms import load_pseudonyms
    from pipelines.data.sources import open_source

    spec, context = _open(dataset)
    landing = land(spec.name, place)
    with context.store.open(f"{landing.path}/files.parquet") as file:
        files = pd.read_parquet(io.BytesIO(file.read()), columns=["source_path", "label", "reason"])
    accepted = files.loc[(files["label"] == label) & files["reason"].isna(), "source_path"]
    source = open_source(context.settings, place)
    landed = LandedFiles(spec, source, load_pseudonyms(context.settings))
    return source.local(landed.relative(min(accepted)), context.settings.cache / "examples")


def backup(to: Path | None = None, *, pictures: bool | None = None, keep: int | None = None) -> str:
    """Take a backup of this installation.

    Args:
        to: the folder it goes to; the installation's own if ``None``.
        pictures: whether images and shards go along; as the settings say if ``None``.
        keep: how many backups stay there; as the settings say if ``None``.

    Returns:
        The backup's folder.
    """
    from pipelines.backup import take

    settings = get_settings()
    folder = take.run(
        settings,
        to=to,
        pictures=settings.backup_snapshots if pictures is None else pictures,
        keep=settings.backup_keep if keep is None else keep,
    )
    return str(folder)
