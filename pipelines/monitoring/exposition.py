"""The monitor's figures for Prometheus: ``$MEDLOOP_HOME/metrics/monitor-<dataset>.prom``.

The monitor ends after each run, so it leaves a file, whole or not at all; the stack's watchdog
answers with it at ``/metrics``, and node_exporter's textfile collector takes it as well.
"""

import time

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from pipelines.monitoring.alarms import below_gate
from pipelines.monitoring.estimate import Estimate
from pipelines.monitoring.performance import MeasuredPerformance
from pipelines.monitoring.state import State
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec

PREFIX = "medloop_monitor_"
BY_MODEL = ("dataset", "model_version")
BY_TEST = (*BY_MODEL, "test")
METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "last_run_timestamp_seconds": ("When the monitor last ended well.", ("dataset",)),
    "last_answer_timestamp_seconds": ("When the newest judged answer was given.", BY_MODEL),
    "windows": ("Windows of answers judged so far, of all models.", ("dataset",)),
    "waiting_answers": ("Answers that do not make a window yet.", BY_MODEL),
    "drift_confirmed": ("1 from when drift is confirmed until it is over.", BY_MODEL),
    "drifted": ("1 where the latest window shows this kind of drift.", BY_TEST),
    "statistic": ("How far the latest window is from the reference.", BY_TEST),
    "p_value": ("How often chance alone shows as much; adjusted for all kinds.", BY_TEST),
    "abstained_share": ("Share of the latest window's answers that abstain.", BY_MODEL),
    "estimated_accuracy": ("Of the latest window, without labels.", BY_MODEL),
    "estimated_accuracy_low": ("Lower bound of its 95 % interval.", BY_MODEL),
    "estimated_accuracy_high": ("Upper bound of its 95 % interval.", BY_MODEL),
    "labelled_answers": ("Judged answers whose true class is known by now.", BY_MODEL),
    "measured_accuracy": ("Of these.", BY_MODEL),
    "measured_accuracy_low": ("Lower bound of its 95 % interval.", BY_MODEL),
    "measured_accuracy_high": ("Upper bound of its 95 % interval.", BY_MODEL),
    "below_gate": ("1 where a measured figure is below what the gate asks for.", BY_MODEL),
}
"""Name, after `PREFIX` → (what it is, its labels)."""


def write(settings: Settings, spec: DatasetSpec, state: State) -> None:
    """Leave the figures of a state, in place of those of the run before."""
    registry = CollectorRegistry()
    gauges = {
        name: Gauge(PREFIX + name, about, labels, registry=registry)
        for name, (about, labels) in METRICS.items()
    }
    model = {"dataset": spec.name, "model_version": str(state.version)}
    gauges["last_run_timestamp_seconds"].labels(spec.name).set(time.time())
    gauges["windows"].labels(spec.name).set(state.number)
    figures: dict[str, float] = {
        "waiting_answers": state.waiting,
        "drift_confirmed": state.episode is not None,
        "labelled_answers": state.measured.images if state.measured else 0,
        "below_gate": any(below_gate(spec.gate, state)),
    }
    if state.measured:
        figures |= _with_bounds("measured_accuracy", state.measured)
    if state.windows:
        latest = state.windows[-1]
        figures["last_answer_timestamp_seconds"] = latest.last.timestamp()
        figures["abstained_share"] = latest.abstained
        figures |= _with_bounds("estimated_accuracy", latest.estimate)
        for finding in latest.findings:
            gauges["drifted"].labels(**model, test=finding.name).set(finding.drifted)
            gauges["statistic"].labels(**model, test=finding.name).set(finding.statistic)
            gauges["p_value"].labels(**model, test=finding.name).set(finding.p_value)
    for name, value in figures.items():
        gauges[name].labels(**model).set(value)
    path = settings.home / "metrics" / f"monitor-{spec.name}.prom"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)


def _with_bounds(name: str, figure: Estimate | MeasuredPerformance) -> dict[str, float]:
    return {name: figure.accuracy, f"{name}_low": figure.low, f"{name}_high": figure.high}
