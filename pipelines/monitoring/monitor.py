"""Hold what the champion answered, and what has landed since it learnt, against its reference.

    served samples → windows → findings ┐
    new snapshots  → answers → findings ├→ state → rule → alert, report, metrics
    labels that come later   → measured ┘

Each window is judged once: the state that names it is written before the next is cut. A run that
is killed goes on where it stopped, whatever it was at; two runs at once work one after the other.
"""

import logging
from datetime import UTC, date, datetime

import pyarrow as pa

from pipelines.monitoring import alarms, exposition, report
from pipelines.monitoring.answers import of_samples
from pipelines.monitoring.arrivals import judge_arrivals, landed_labels
from pipelines.monitoring.compact import compact
from pipelines.monitoring.estimate import estimate
from pipelines.monitoring.judge import judge
from pipelines.monitoring.labels import label_files, read_truth
from pipelines.monitoring.measure import measured
from pipelines.monitoring.reference import build
from pipelines.monitoring.rule import is_alarm, is_over
from pipelines.monitoring.state import (
    KEPT,
    Episode,
    JudgedWindow,
    State,
    keep,
    keep_answers,
    state_of,
)
from pipelines.monitoring.watch import Watch, alone, champion_and_answers, champion_of, open_watch
from pipelines.monitoring.windows import Cutter, Ledger
from pipelines.outputs import Monitored, Profile
from pipelines.release import registry
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint

logger = logging.getLogger(__name__)


def profile(context: Context, dataset: str) -> Profile:
    """The reference profile of the champion, made if it does not stand.

    Raises:
        NotFound: there is no champion, or what it was made from is gone.
        Unavailable: MLflow or the store does not answer.
    """
    champion = champion_of(context, dataset)
    return build(context, registry.fetch(context, dataset, champion.version))


def run(spec: DatasetSpec, context: Context, *, today: date | None = None) -> Monitored:
    """Judge what came since the last run.

    Args:
        spec: the data set.
        context: settings and store.
        today: the day, in UTC; the files of earlier ones are merged.

    Raises:
        NotFound: there is no champion.
        WindowError: answers that say they are the champion's are not comparable with it.
        Unavailable: MLflow or the store does not answer; what was judged by then stands.
    """
    today = today or datetime.now(UTC).date()
    with alone(context, spec.name):
        before = state_of(context.store, spec.name)
        ledger = before.ledger if before else Ledger()
        champion, cutter = champion_and_answers(context, spec.name, ledger=ledger, today=today)
        watch = open_watch(spec, context, champion)
        state = _taken_up(before, watch)
        state = _judge_windows(watch, state, cutter)
        state = _judge_arrivals(watch, state)
        state = _measure(watch, state.model_copy(update={"waiting": cutter.waiting}))
        state = _report(watch, state)
        alarms.tell(spec, context.settings, state)
        exposition.write(context.settings, spec, state)
        _merge(context, spec.name, cutter.ledger, today)
        return _output(watch, before, state)


def woken(context: Context, dataset: str) -> None:
    """Note that whoever waits for confirmed drift was woken for this time that it came."""
    with alone(context, dataset):
        state = state_of(context.store, dataset)
        if state and state.episode and not state.episode.woken:
            episode = state.episode.model_copy(update={"woken": True})
            keep(context.store, dataset, state.model_copy(update={"episode": episode}))


def _taken_up(before: State | None, watch: Watch) -> State:
    """The state to go on from; a fresh one, with what was read so far, for another model."""
    profile = watch.reference.profile.id
    fresh = State(version=watch.champion.version, run_id=watch.champion.run_id, profile=profile)
    if before is None:
        return fresh
    if (before.version, before.run_id, before.profile) == (fresh.version, fresh.run_id, profile):
        return before
    logger.info("%s: version %d is watched from now on", watch.spec.name, fresh.version)
    alarms.forget(watch.spec, watch.context.settings, before)
    went_on = {"sequence": before.sequence, "ledger": before.ledger, "number": before.number}
    return fresh.model_copy(update=went_on)


def _judge_windows(watch: Watch, state: State, cutter: Cutter) -> State:
    store, name, rules = watch.context.store, watch.spec.name, watch.spec.monitor
    while window := cutter.cut(rules.window):
        number = state.number + 1
        keep_answers(store, name, number, window.table)
        judged = _judged(watch, number, window.table)
        windows = (*state.windows, judged)[-KEPT:]
        update = {"number": number, "windows": windows, "ledger": window.ledger}
        state = keep(store, name, _decided(watch, state.model_copy(update=update)))
        seen = ", ".join(f.name for f in judged.findings if f.drifted) or "nothing unusual"
        logger.info("%s: window %d of %d answers: %s", name, number, judged.answers, seen)
    if state.ledger == cutter.ledger:
        return state
    return keep(store, name, state.model_copy(update={"ledger": cutter.ledger}))


def _judged(watch: Watch, number: int, table: pa.Table) -> JudgedWindow:
    answers = of_samples(table, watch.reference.answers.classes)
    times = sorted(table["time"].to_pylist())
    counts = {name: int((answers.predicted == i).sum()) for i, name in enumerate(answers.classes)}
    return JudgedWindow(
        number=number,
        first=times[0],
        last=times[-1],
        answers=len(answers),
        abstained=float(answers.abstained.mean()),
        classes=counts,
        findings=tuple(judge(watch.reference, answers, watch.spec.monitor, seed=number)),
        estimate=estimate(watch.reference, answers),
    )


def _decided(watch: Watch, state: State) -> State:
    """The state with its alarm begun, or ended, by the latest window."""
    rules, latest = watch.spec.monitor, state.windows[-1]
    if state.episode and is_over(state.troubled, rules):
        return state.model_copy(update={"episode": None})
    if state.episode is None and is_alarm(state.troubled, rules):
        episode = Episode(window=latest.number, since=latest.last)
        return state.model_copy(update={"episode": episode})
    return state


def _judge_arrivals(watch: Watch, state: State) -> State:
    done = {snapshot.id for snapshot in state.snapshots}
    for name, rows in watch.arrived.items():
        if name in done:
            continue
        judged = judge_arrivals(
            watch.spec,
            watch.context,
            watch.reference,
            watch.predictor,
            snapshot=name,
            rows=rows,
        )
        alarms.tell_of_arrivals(watch.spec, watch.context.settings, state, judged)
        update = {"snapshots": (*state.snapshots, judged)}
        state = keep(watch.context.store, watch.spec.name, state.model_copy(update=update))
    return state


def _measure(watch: Watch, state: State) -> State:
    store, name = watch.context.store, watch.spec.name
    known = fingerprint(label_files(store, name), sorted(watch.arrived), state.number)
    if known == state.known:
        return state
    truth = read_truth(store, name, landed=landed_labels(watch.arrived))
    return measured(store, watch.spec, state.model_copy(update={"known": known}), truth)


def _report(watch: Watch, state: State) -> State:
    """The state, written; with a report if there is something new to tell."""
    identity = report.identity(state)
    if state.reported != identity or not report.place(watch.context.settings, watch.spec).exists():
        report.publish(watch.spec, watch.context, state, watch.reference)
        state = state.model_copy(update={"reported": identity})
        return keep(watch.context.store, watch.spec.name, state)
    return state


def _merge(context: Context, dataset: str, ledger: Ledger, today: date) -> None:
    by_day: dict[date, set[str]] = {}
    for file in ledger.done:
        folder, _, name = file.partition("/")
        by_day.setdefault(date.fromisoformat(folder), set()).add(name)
    for day, names in sorted(by_day.items()):
        if day < today and len(names) > 1:
            compact(context.store, dataset, day, judged=names)


def _output(watch: Watch, before: State | None, state: State) -> Monitored:
    latest = state.windows[-1] if state.windows else None
    same = before is not None and before.profile == state.profile
    return Monitored(
        dataset=watch.spec.name,
        id=fingerprint(report.identity(state)),
        version=state.version,
        windows=state.number - (before.number if before else 0),
        snapshots=len(state.snapshots) - (len(before.snapshots) if before and same else 0),
        waiting=state.waiting,
        drifted=[f.name for f in latest.findings if f.drifted] if latest else [],
        drifting=state.episode is not None,
        confirmed=state.episode is not None and not state.episode.woken,
        estimated_accuracy=latest.estimate.accuracy if latest else None,
        measured_accuracy=state.measured.accuracy if state.measured else None,
        report=str(report.place(watch.context.settings, watch.spec)),
    )
