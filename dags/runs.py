"""What a run of a DAG knows of itself: who woke it, by when it should have ended."""

from datetime import timedelta

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from dags.callbacks import run_late
from pipelines.spec import DatasetSpec

FRESH = "{{ run_id if params.fresh else None }}"
"""Template of what tells a run's results from all that stand: the run's own name, so that a task
that is tried again goes on with what the run has made; nothing, where what stands may serve."""


def deadline(spec: DatasetSpec, dag: str) -> DeadlineAlert | None:
    """The alert for a run that has not ended in time; ``None`` if the spec wants none."""
    hours = spec.retrain.deadline_hours
    if hours is None:
        return None
    hours += spec.approval.hours if spec.approval else 0
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=hours),
        callback=AsyncCallback(run_late, kwargs={"dag": dag, "hours": hours}),
    )
