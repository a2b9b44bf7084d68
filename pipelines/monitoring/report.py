"""The monitoring report: one page that needs nothing from elsewhere, without pixels or names.

The newest stands at ``$MEDLOOP_HOME/reports/<dataset>-monitoring.html``; each also is an artifact
of the model's run in the experiment ``<dataset>-monitoring`` of MLflow, beside the figures of
every window as metrics.
"""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path

from pipelines.atomic import written_whole
from pipelines.evaluation.metrics import OVERALL
from pipelines.monitoring import charts, journal
from pipelines.monitoring.judge import Finding
from pipelines.monitoring.measure import least_figures
from pipelines.monitoring.performance import MeasuredPerformance
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.state import JudgedSnapshot, State, answers_of
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2430; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-size: .9rem }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dde2e8 }
td:nth-child(-n+4) { white-space: nowrap } img { max-width: 100%; height: auto }
.lead { font-size: 1.1rem } .bad { color: #b00020; font-weight: 600 } .good { color: #006d3c }
@media (prefers-color-scheme: dark) {
  body { color: #dfe5ec; background: #12161c } th, td { border-color: #2c3440 }
  .bad { color: #ff8a95 } .good { color: #6fd6a4 } }
"""


def identity(state: State) -> str:
    """Stands for what a report of this state tells; the same for two that tell the same."""
    snapshots = [snapshot.id for snapshot in state.snapshots]
    since = state.episode.window if state.episode else None
    return fingerprint(state.version, state.profile, state.number, snapshots, state.known, since)


def place(settings: Settings, spec: DatasetSpec) -> Path:
    """Where the newest report of a data set stands on this machine."""
    return settings.home / "reports" / f"{spec.name}-monitoring.html"


def publish(spec: DatasetSpec, context: Context, state: State, reference: Reference) -> None:
    """Draw the report of a state, and log it in MLflow with the windows' figures.

    Raises:
        Unavailable: MLflow or the store does not answer.
    """
    text = page(spec, context, state, reference)
    journal.log(spec, context, state, page=text)
    path = place(context.settings, spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


def page(spec: DatasetSpec, context: Context, state: State, reference: Reference) -> str:
    """The whole page, with its pictures inside."""
    title = f"{escape(spec.title)}: what version {state.version} is asked, and how it answers"
    parts = [
        f"<h1>{title}</h1>",
        "<p><strong>Synthetic data.</strong></p>" if spec.synthetic else "",
        _lead(spec, state),
        *_windows(spec, context, state, reference),
        "<h2>New images</h2>",
        _snapshots(state.snapshots),
        "<h2>Measured with labels</h2>",
        _measured(spec, state.measured),
        "<h2>How this was found</h2>",
        _method(spec, reference),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n<body>'
        + "\n".join(part for part in parts if part)
        + f"\n<p><small>{escape(spec.disclaimer)}</small></p></body></html>\n"
    )


def _lead(spec: DatasetSpec, state: State) -> str:
    rules = spec.monitor
    if not state.windows:
        return (
            f'<p class="lead">No window of {rules.window} answers is full yet; {state.waiting} '
            "wait.</p>"
        )
    recent = sum(state.troubled[-rules.of :])
    told = (
        f"{recent} of the last {min(rules.of, len(state.windows))} windows are troubled; "
        f"{rules.troubled}, the latest among them, make an alarm."
    )
    if state.episode:
        since = f"window {state.episode.window}, {_when(state.episode.since)}"
        word = f'<span class="bad">Drift is confirmed</span> since {since}.'
        todo = (
            " Training again on the same images gives the same model: new images with labels are "
            "needed."
        )
        return f'<p class="lead">{word} {told}{todo}</p>'
    return f'<p class="lead"><span class="good">No drift is confirmed.</span> {told}</p>'


def _windows(
    spec: DatasetSpec, context: Context, state: State, reference: Reference
) -> Iterable[str]:
    if not state.windows:
        return
    latest = state.windows[-1]
    minimum = spec.gate.minimum.get("accuracy")
    yield "<h2>Kinds of drift, window by window</h2>"
    yield charts.image(
        charts.findings_by_window(state.windows), "Kinds of drift by window; drift is orange."
    )
    yield "<h2>Accuracy</h2>"
    yield charts.image(
        charts.accuracy_by_window(state.windows, minimum=minimum),
        "Accuracy by window, estimated and measured.",
    )
    yield (
        f"<h2>Window {latest.number}: {latest.answers:,} answers, {_when(latest.first)} to "
        f"{_when(latest.last)}</h2>"
    )
    yield _findings(latest.findings)
    yield (
        f"<p>{latest.abstained:.1%} of the answers abstain. Accuracy is estimated at "
        f"{latest.estimate.accuracy:.3f} ({latest.estimate.low:.3f} to {latest.estimate.high:.3f})"
        f"; on the reference it was {latest.estimate.reference:.3f}.</p>"
    )
    table = answers_of(context.store, spec.name, latest.number)
    yield charts.image(
        charts.distributions(reference.answers, table), "The latest window beside the reference."
    )


def _findings(findings: Iterable[Finding]) -> str:
    lines = [
        [
            finding.name,
            f"{finding.statistic:.3f}",
            f"{finding.p_value:.4f}",
            '<span class="bad">drift</span>' if finding.drifted else "as before",
            escape(finding.detail),
        ]
        for finding in findings
    ]
    return _table(["what", "distance", "p-value", "", "in words"], lines)


def _snapshots(snapshots: Iterable[JudgedSnapshot]) -> str:
    lines = [[one.id, f"{one.added:,}", *_of_snapshot(one)] for one in reversed(list(snapshots))]
    if not lines:
        return "<p>Nothing has landed since this version learnt.</p>"
    return _table(["snapshot", "images added", "beside the reference", "accuracy on them"], lines)


def _of_snapshot(one: JudgedSnapshot) -> tuple[str, str]:
    if not one.asked:
        return "too few to judge", ""
    drifted = [escape(f"{f.name}: {f.detail}") for f in one.findings if f.drifted]
    seen = f'<span class="bad">{"<br>".join(drifted)}</span>' if drifted else "as before"
    return seen, _interval(one.measured) if one.measured else ""


def _measured(spec: DatasetSpec, measured: MeasuredPerformance | None) -> str:
    if measured is None:
        return (
            "<p>Too few labels have come yet (30 are needed). Give them with <code>medloop label "
            f"{spec.name} FILE.csv</code>, or let the images land with their labels.</p>"
        )
    lines = []
    asked = least_figures(spec.gate)
    for name, value in measured.figures.items():
        if name not in OVERALL and name not in asked and not name.startswith("sensitivity."):
            continue
        bounds, minimum = measured.intervals.get(name), asked.get(name)
        told = f"{bounds.low:.3f} to {bounds.high:.3f}" if bounds else ""
        lines.append([name, f"{value:.3f}", told, f"{minimum:g}" if minimum is not None else ""])
    known = (
        f"Of {measured.images:,} answers the true class is known by now. The figures count the "
        "class that the service decided for, abstained answers included; <code>ece</code> is of "
        "the likeliest class, by definition."
    )
    return f"<p>{known}</p>" + _table(["figure", "value", "95 % interval", "gate"], lines)


def _interval(measured: MeasuredPerformance) -> str:
    return f"{measured.accuracy:.3f} ({measured.low:.3f} to {measured.high:.3f})"


def _method(spec: DatasetSpec, reference: Reference) -> str:
    rules = spec.monitor
    return (
        f"<p>Each window of {rules.window} answers is held against the model's answers to "
        f"{len(reference.answers):,} images that it did not learn from. A window without drift is "
        f"taken for drifted in {rules.false_alarms:.1%} of the cases, whatever the kind. An image "
        "asked about twice counts once in a window. The estimate of accuracy follows from how "
        "sure the answers are; it cannot see that the same images have come to mean something "
        "else, labels can. The project's page on monitoring says more.</p>"
    )


def _when(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
