"""What Airflow calls when something goes wrong: who is told what, and that it never raises."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from dags import callbacks
from dags.callbacks import ApprovalWanted, dataset_of, run_late, run_succeeded, task_failed
from pipelines.alerts.log import latest
from pipelines.alerts.notice import Notice
from pipelines.errors import CheckFailed
from pipelines.settings import Settings, get_settings


@dataclass(frozen=True)
class Task:
    dag_id: str = "retrain_brain_mri"
    run_id: str = "manual__2026-11-21T16:00:00+00:00"
    task_id: str = "check_landing"


@dataclass(frozen=True)
class Operator:
    subject: str = "May version 7 replace version 6?"


@dataclass(frozen=True)
class Dag:
    dag_id: str = "retrain_brain_mri"
    task_ids: tuple[str, ...] = ("land", "check_landing")


def told() -> list[Notice]:
    return latest(get_settings(), 10)


def checked() -> AirflowFailException:
    """The error as a step raises it."""
    failed = AirflowFailException("CheckFailed: brain_mri: the landing suite is not met")
    failed.__cause__ = CheckFailed("brain_mri: the landing suite is not met")
    return failed


def test_a_failed_check_is_told_with_the_page_to_read_on(installation: Settings) -> None:
    task_failed({"ti": Task(), "exception": checked()})

    (notice,) = told()
    assert notice.alert.kind == "check_failed"
    assert notice.alert.dataset == "brain_mri"
    assert notice.alert.link == (
        f"{installation.airflow}/dags/retrain_brain_mri/runs/"
        "manual__2026-11-21T16%3A00%3A00%2B00%3A00/tasks/check_landing"
    )


@pytest.mark.usefixtures("installation")
def test_a_killed_task_is_told_too() -> None:
    task_failed({"ti": Task(task_id="train")})

    assert [(n.alert.kind, n.alert.subject) for n in told()] == [("run_failed", "train")]


@pytest.mark.usefixtures("installation")
def test_the_next_run_that_succeeds_says_that_it_is_over() -> None:
    task_failed({"ti": Task(), "exception": checked()})
    run_succeeded({"dag": Dag()})

    assert sorted(notice.state for notice in told()) == ["begun", "over"]


@pytest.mark.usefixtures("installation")
def test_a_late_run_is_told_from_the_event_loop() -> None:
    context = {"dag_run": {"dag_run_id": "scheduled__1"}}
    asyncio.run(run_late(dag="retrain_brain_mri", hours=3.0, context=context))

    (notice,) = told()
    assert notice.alert.kind == "run_late"
    assert "3 hours" in notice.alert.title
    assert str(notice.alert.link).endswith("/runs/scheduled__1")


@pytest.mark.usefixtures("installation")
def test_people_hear_that_they_are_asked() -> None:
    ApprovalWanted().notify({"ti": Task(task_id="approval"), "task": Operator()})

    (notice,) = told()
    assert notice.alert.title == "May version 7 replace version 6?"
    assert str(notice.alert.link).endswith("/tasks/approval/required_actions")


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("callback", [task_failed, run_succeeded, ApprovalWanted().notify])
def test_a_callback_never_raises(
    callback: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    callback({})

    assert "could not be told" in caplog.text
    assert callbacks.__name__ in {record.name for record in caplog.records}


def test_a_dag_belongs_to_the_data_set_in_its_name() -> None:
    assert dataset_of("retrain_brain_mri") == "brain_mri"
    assert dataset_of("backup") == "backup"
