"""When a run is late: a deadline counted from when Airflow made it.

Airflow's own ``DAGRUN_QUEUED_AT`` would do, but in Airflow 3.3 no task of a run with such a
deadline can be cleared (github.com/apache/airflow/issues/70368). References of one's own are
known to Airflow by a plugin, which ``pyproject.toml`` names as an entry point.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineAlert

from dags.callbacks import run_late
from pipelines.spec import DatasetSpec


class RunMade(BaseDeadlineReference):
    """When the run was made, which is when Airflow evaluates this."""

    def _evaluate_with(self, **_: Any) -> datetime:
        return datetime.now(UTC)


class LatenessPlugin(AirflowPlugin):
    """Makes `RunMade` known to Airflow."""

    name = "medloop"
    deadline_references = [RunMade]  # noqa: RUF012 Airflow reads a list


def deadline(spec: DatasetSpec, dag: str) -> DeadlineAlert | None:
    """The alert for a run that has not ended in time; ``None`` if the spec wants none."""
    hours = spec.retrain.deadline_hours
    if hours is None:
        return None
    hours += spec.approval.hours if spec.approval else 0
    return DeadlineAlert(
        reference=RunMade(),
        interval=timedelta(hours=hours),
        callback=AsyncCallback(run_late, kwargs={"dag": dag, "hours": hours}),
    )
