"""What Airflow calls when something goes wrong, or well again: alerts to people.

A task's callback runs in the task's own process, or, if that was killed, in the DAG processor; a
DAG's runs in the DAG processor; a deadline's in the triggerer. None of them may raise: an alert
that fails must not fail anything else.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from airflow.sdk import BaseNotifier

from pipelines.alerts.alert import Alert, alert_key
from pipelines.alerts.failures import failure_alert, failure_keys
from pipelines.alerts.send import resolve, send
from pipelines.settings import get_settings

logger = logging.getLogger(__name__)

Context = Any
"""Airflow's context: a mapping whose keys depend on who calls."""


def _quietly(callback: Callable[[Context], None]) -> Callable[[Context], None]:
    """A callback whose own failure is logged and goes no further."""

    @wraps(callback)
    def safe(context: Context) -> None:
        try:
            callback(context)
        except Exception:
            logger.exception("%s could not be told", callback.__name__)

    return safe


@_quietly
def task_failed(context: Context) -> None:
    """Tell that a task has failed for good, why, and where to read on."""
    task = context["ti"]
    page = link(task.dag_id, task.run_id, task=task.task_id)
    error = context.get("exception")
    alert = failure_alert(dataset_of(task.dag_id), task.task_id, error=error, link=page)
    send(get_settings(), alert)


@_quietly
def run_succeeded(context: Context) -> None:
    """Say of all that may have been told of this DAG's runs that it is over."""
    dag = context["dag"]
    dataset = dataset_of(dag.dag_id)
    for task in dag.task_ids:
        for key in failure_keys(dataset, task):
            resolve(get_settings(), key)
    resolve(get_settings(), alert_key("run_late", dataset, dag.dag_id))


async def run_late(dag: str, hours: float, context: Context | None = None) -> None:
    """Tell that a run has not ended in time.

    Args:
        dag: its id.
        hours: how long it may take.
        context: what Airflow knows of the run.
    """
    run = ((context or {}).get("dag_run") or {}).get("dag_run_id", "")
    alert = Alert(
        kind="run_late",
        severity="warning",
        dataset=dataset_of(dag),
        subject=dag,
        title=f"{dag} has not ended within {hours:g} hours",
        text=(
            f"The run {run} was queued {hours:g} hours ago and goes on. See which task it is at; "
            "an approval that is waited for counts too. Nothing was stopped."
        ),
        link=link(dag, run),
    )
    # Mail and webhooks block: the triggerer's event loop serves the watchers too.
    await asyncio.to_thread(_quietly(lambda _: send(get_settings(), alert)), None)


class ApprovalWanted(BaseNotifier):
    """Tells people that a run waits for their answer."""

    def notify(self, context: Context) -> None:
        """Send the question's subject, with the page that takes the answer."""
        _tell_wanted(context)


@_quietly
def _tell_wanted(context: Context) -> None:
    task = context["ti"]
    page = link(task.dag_id, task.run_id, task=task.task_id)
    alert = Alert(
        kind="approval_wanted",
        severity="info",
        dataset=dataset_of(task.dag_id),
        subject=task.dag_id,
        title=str(context["task"].subject),
        text="Read the figures and answer in Airflow. Without an answer it is not promoted.",
        link=f"{page}/required_actions",
    )
    send(get_settings(), alert)


def dataset_of(dag: str) -> str:
    """The data set in a DAG's name: ``retrain_brain_mri`` → ``brain_mri``, ``backup`` → itself."""
    return dag.partition("_")[2] or dag


def link(dag: str, run: str, *, task: str | None = None) -> str:
    """Page of a run, or of a task in it, in the Airflow UI."""
    from urllib.parse import quote

    page = f"{get_settings().airflow}/dags/{dag}/runs/{quote(run)}"
    return f"{page}/tasks/{task}" if task else page
