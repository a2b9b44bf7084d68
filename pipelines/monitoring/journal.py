"""The monitor's figures in MLflow: an experiment of its own, with a run for each model watched.

A run's metrics have the number of the window as their step, so that MLflow draws their course.
"""

from pipelines.monitoring.state import JudgedWindow, State
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.tracking import runs
from pipelines.tracking.client import open_tracking
from pipelines.tracking.runs import MetricBook

TROUBLED = "troubled"


def log(spec: DatasetSpec, context: Context, state: State, *, page: str) -> None:
    """Log the windows that the run has not got yet, and the report.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(
        f"{spec.name}-monitoring", title=spec.title, about="Traffic, watched"
    )
    identity = fingerprint("monitoring", spec.name, state.version, state.run_id)
    name = f"version {state.version}"
    tags = {"medloop.watched_run": state.run_id, "medloop.version": str(state.version)}
    with runs.open_run(tracking, experiment, fingerprint=identity, name=name, tags=tags) as run_id:
        logged = runs.steps_logged(tracking, run_id, TROUBLED)
        book = MetricBook(tracking, run_id)
        for window in state.windows:
            if window.number not in logged:
                book.add(_figures(window), step=window.number)
        if state.measured:
            measured = {f"measured.{k}": v for k, v in state.measured.figures.items()}
            book.add(measured, step=state.number)
        book.flush()
        tracking.upload_text(run_id, f"reports/{state.number:06d}.html", page)
        tracking.upload_text(run_id, "report.html", page)


def _figures(window: JudgedWindow) -> dict[str, float]:
    by_kind = {f"p_value.{f.name}": f.p_value for f in window.findings}
    distances = {f"distance.{f.name}": f.statistic for f in window.findings}
    return {
        TROUBLED: float(window.troubled),
        "abstained": window.abstained,
        "estimated_accuracy": window.estimate.accuracy,
        "estimated_accuracy.low": window.estimate.low,
        "estimated_accuracy.high": window.estimate.high,
        **distances,
        **by_kind,
    }
