"""The retraining DAG's shape, without running it."""

import subprocess
import sys

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from dags import retrain
from dags.steps import step
from pipelines.errors import CheckFailed, StoreUnavailable
from pipelines.spec import spec_names


def dag(name: str) -> DAG:
    made: DAG = getattr(retrain, f"retrain_{name}")
    return made


@pytest.mark.parametrize("name", spec_names())
def test_every_data_set_has_its_dag(name: str) -> None:
    assert dag(name).dag_id == f"retrain_{name}"
    assert dag(name).max_active_runs == 1
    assert not dag(name).catchup


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("check_landing", "ingest"),
        ("ingest", "split"),
        ("check_snapshot", "prepare"),
        ("check_prepared", "train"),
        ("train", "evaluate"),
        ("evaluate", "select"),
        ("select", "gate"),
        ("gate", "decide"),
        ("decide", "canary"),
        ("decide", "refuse"),
        ("decide", "unchanged"),
        ("canary", "promote"),
    ],
)
def test_nothing_is_done_before_what_it_rests_on(earlier: str, later: str) -> None:
    tasks = dag("phantom").task_dict

    assert later in tasks[earlier].downstream_task_ids


def test_only_a_passed_canary_leads_to_promotion() -> None:
    assert dag("phantom").task_dict["promote"].upstream_task_ids == {"canary"}


def test_every_task_says_what_it_does() -> None:
    for task in dag("phantom").tasks:
        assert task.doc_md, task.task_id


def test_reading_the_file_imports_nothing_heavy() -> None:
    heavy = ["tensorflow", "pyspark", "mlflow", "great_expectations", "openvino", "pandas"]
    code = f"import sys, dags.retrain; print([m for m in {heavy} if m in sys.modules])"

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )

    assert answer.stdout.strip().splitlines()[-1] == "[]"


def failing_check() -> None:
    """Fails for good."""
    raise CheckFailed("12 of 100 files quarantined")


def absent_store() -> None:
    """Fails for now."""
    raise StoreUnavailable("HDFS does not answer")


def test_what_trying_again_cannot_heal_fails_at_once() -> None:
    with pytest.raises(AirflowFailException, match="CheckFailed: 12 of 100"):
        step(failing_check).function()


def test_what_may_heal_is_tried_again() -> None:
    with pytest.raises(StoreUnavailable):
        step(absent_store).function()
    assert dag("phantom").task_dict["train"].retries == 3
