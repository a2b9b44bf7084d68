"""A step: what is tried again, what is not, and how heavy ones stand back."""

import os

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.retrain import retrain_dag
from dags.steps import NICENESS, branch, heavy_step, only_if, step
from pipelines.errors import CandidateSkipped, CheckFailed, StoreUnavailable
from pipelines.outputs import Release


def failing_check() -> None:
    """Fails for good."""
    raise CheckFailed("12 of 100 files quarantined")


def mistaken_program() -> None:
    """Fails for good, with an error that is not ours."""
    raise KeyError("sha256")


def broken_connection() -> bool:
    """Fails for now, with an error that is not ours."""
    raise ConnectionResetError("reset by peer")


def absent_store() -> bool:
    """Fails for now."""
    raise StoreUnavailable("HDFS does not answer")


def closed_machine() -> None:
    """Cannot be done here, and need not be."""
    raise CandidateSkipped("resnet50 is left out")


def release() -> Release:
    """Returns an output."""
    return Release(dataset="scans", id="0", champion=2, previous=1)


def niceness() -> int:
    """Returns how far the process stands back."""
    return os.nice(0)


@pytest.mark.parametrize("wrapped", [step, branch, only_if])
def test_what_trying_again_cannot_heal_fails_at_once(wrapped: object) -> None:
    with pytest.raises(AirflowFailException, match="CheckFailed: 12 of 100"):
        wrapped(failing_check).function()  # type: ignore[operator]
    with pytest.raises(AirflowFailException, match="KeyError: 'sha256'"):
        wrapped(mistaken_program).function()  # type: ignore[operator]


@pytest.mark.parametrize("wrapped", [step, heavy_step])
def test_what_need_not_be_done_is_skipped(wrapped: object) -> None:
    with pytest.raises(AirflowSkipException, match="resnet50 is left out"):
        wrapped(closed_machine).function()  # type: ignore[operator]


@pytest.mark.parametrize("wrapped", [step, branch, only_if])
def test_what_may_heal_is_tried_again(wrapped: object) -> None:
    with pytest.raises(StoreUnavailable):
        wrapped(absent_store).function()  # type: ignore[operator]
    with pytest.raises(ConnectionResetError):
        wrapped(broken_connection).function()  # type: ignore[operator]


def test_retries_wait_longer_each_time() -> None:
    with DAG("retries"):
        task = step(absent_store)().operator

    assert task.retries == 5
    assert task.retry_exponential_backoff > 1


def test_an_output_goes_on_as_plain_json() -> None:
    assert step(release).function() == {
        "dataset": "scans",
        "id": "0",
        "champion": 2,
        "previous": 1,
    }


def test_a_heavy_step_stands_back_behind_the_service() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # what is nice cannot be undone
        os.write(write, str(heavy_step(niceness).function()).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert int(os.read(read, 16)) == min(19, os.nice(0) + NICENESS)


def test_retraining_goes_before_monitoring_and_scoring() -> None:
    from dags.monitor import monitor_dag
    from dags.score import score_dag

    weight = retrain_dag("phantom").task_dict["train"].priority_weight
    for other in (*monitor_dag("phantom").tasks, *score_dag("phantom").tasks):
        assert other.priority_weight < weight
        assert other.weight_rule == retrain_dag("phantom").task_dict["train"].weight_rule
