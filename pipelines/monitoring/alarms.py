"""What the monitor tells people: confirmed drift, new images unlike the old, figures too low."""

from collections.abc import Iterator

from pipelines.alerts.alert import Alert, Kind, Severity
from pipelines.alerts.send import resolve, send
from pipelines.monitoring.judge import Finding
from pipelines.monitoring.measure import least_figures
from pipelines.monitoring.report import place
from pipelines.monitoring.state import Episode, JudgedSnapshot, State
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec, GateSpec

TRAFFIC = "answers"
MEASURED = "measured"
SAME_MODEL = (
    "Training again on the images there are gives the same model: put images such as these, with "
    "their labels, into the landing folder."
)


def tell(spec: DatasetSpec, settings: Settings, state: State) -> None:
    """Send what is wrong by now, and say of the rest that it is over; never raises."""
    if state.episode:
        text = _of_drift(spec, state, state.episode)
        title = f"the answers of {_named(state)} drift"
        send(settings, _alert(spec, settings, TRAFFIC, title=title, text=text))
    else:
        resolve(settings, _key(spec, TRAFFIC))
    if low := list(below_gate(spec.gate, state)):
        text = (
            f"Of {_named(state)}, by {_images(state)} answers whose class is known by now: "
            f"{'; '.join(low)}. The whole 95 % interval lies below what the gate asks for. Look at "
            f"{place(settings, spec)}, roll back (medloop rollback {spec.name} "
            f"--expect {state.version}) if the version before was better, and retrain with images "
            "such as these."
        )
        title = f"{_named(state)} does worse than its gate allows"
        alert = _alert(spec, settings, MEASURED, title=title, text=text)
        send(settings, alert)
    else:
        resolve(settings, _key(spec, MEASURED))


def tell_of_arrivals(
    spec: DatasetSpec, settings: Settings, state: State, judged: JudgedSnapshot
) -> None:
    """Say that new images are unlike those the model is known to answer for; never raises."""
    if judged.troubled:
        text = (
            f"{judged.asked} of the {judged.added} images that snapshot {judged.id} added were "
            f"held against those {_named(state)} was judged by. {_told(judged.findings)} Make sure "
            "that they are what they should be; the next model learns from them."
        )
        title = f"new images of {spec.name} are unlike the earlier ones"
        send(settings, _alert(spec, settings, _subject(judged), title=title, text=text))


def forget(spec: DatasetSpec, settings: Settings, before: State) -> None:
    """Say that all is over which was said of a model that does not serve any more."""
    for subject in (TRAFFIC, MEASURED, *map(_subject, before.snapshots)):
        resolve(settings, _key(spec, subject))


def below_gate(gate: GateSpec, state: State) -> Iterator[str]:
    """Each measured figure whose whole interval lies below the gate's minimum, in words."""
    if state.measured is None:
        return
    for name, minimum in least_figures(gate).items():
        interval = state.measured.intervals.get(name)
        if interval is not None and interval.high < minimum:
            value = state.measured.figures[name]
            said = f"{name} is {value:.3f} ({interval.low:.3f} to {interval.high:.3f})"
            yield f"{said}, the gate asks for {minimum:g}"


def _of_drift(spec: DatasetSpec, state: State, episode: Episode) -> str:
    latest, rules = state.windows[-1], spec.monitor
    troubled = sum(state.troubled[-rules.of :])
    retrained = (
        "A retraining was asked for." if spec.retrain.on_drift else "No retraining was asked for."
    )
    return (
        f"Since window {episode.window} ({episode.since:%Y-%m-%d %H:%M} UTC); {troubled} of the "
        f"last {min(rules.of, len(state.windows))} windows of {rules.window} answers are troubled. "
        f"The latest, window {latest.number}: {_told(latest.findings)} Accuracy is estimated at "
        f"{latest.estimate.accuracy:.3f} ({latest.estimate.low:.3f} to {latest.estimate.high:.3f})."
        f" {retrained} {SAME_MODEL}"
    )


def _told(findings: tuple[Finding, ...]) -> str:
    seen = [f"{f.name}: {f.detail}" for f in findings if f.drifted]
    return " ".join(seen) or "nothing unusual."


def _named(state: State) -> str:
    return f"version {state.version}"


def _images(state: State) -> int:
    return state.measured.images if state.measured else 0


def _subject(judged: JudgedSnapshot) -> str:
    return f"snapshot {judged.id}"


def _key(spec: DatasetSpec, subject: str) -> str:
    return "/".join((_nature(subject)[0], spec.name, subject))


def _nature(subject: str) -> tuple[Kind, Severity]:
    if subject == MEASURED:
        return "performance_low", "critical"
    return "drift", "warning" if subject == TRAFFIC else "info"


def _alert(spec: DatasetSpec, settings: Settings, subject: str, *, title: str, text: str) -> Alert:
    kind, severity = _nature(subject)
    return Alert(
        kind=kind,
        severity=severity,
        dataset=spec.name,
        subject=subject,
        title=f"{spec.title}: {title}",
        text=text,
        link=str(place(settings, spec)),
    )
