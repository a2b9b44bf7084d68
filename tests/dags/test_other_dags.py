"""Monitoring, scoring, backup and prune: their shape; and what all DAG files have in common."""

import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import DAG

from dags import backup, prune, retrain
from dags.monitor import monitor_dag
from dags.retrain import retrain_dag
from dags.score import score_dag
from pipelines.spec import spec_names

EVERY = [
    backup.backup,
    prune.prune,
    *(build(name) for name in spec_names() for build in (retrain_dag, monitor_dag, score_dag)),
]


def woken_by(dag: DAG) -> set[str]:
    condition = getattr(dag.timetable, "asset_condition", None)
    return {asset.name for asset in condition.objects} if condition else set()


def outlets(dag: DAG, task: str) -> list[str]:
    return [asset.name for asset in dag.task_dict[task].outlets]


def test_a_champion_wakes_scoring() -> None:
    dag = score_dag("phantom")

    assert woken_by(dag) == {"phantom_champion"}
    assert outlets(dag, "score") == ["phantom_scores"]


def test_a_snapshot_wakes_monitoring_and_so_does_the_clock() -> None:
    dag = monitor_dag("phantom")

    assert woken_by(dag) == {"phantom_snapshot"}
    assert getattr(dag.timetable, "timetable", None) is not None


def test_drift_is_announced_only_where_it_is_confirmed() -> None:
    dag = monitor_dag("phantom")

    assert outlets(dag, "confirm_drift") == ["phantom_drift"]
    assert outlets(dag, "monitor") == []
    assert "drift_confirmed" in dag.task_dict["confirm_drift"].upstream_task_ids


def test_what_one_dag_makes_is_what_another_waits_for() -> None:
    made = {asset.name for dag in EVERY for task in dag.tasks for asset in task.outlets}
    awaited = {name for dag in EVERY for name in woken_by(dag)}

    # Nobody makes a landing folder's asset: its watcher does.
    assert {name for name in awaited if not name.endswith("_landing")} <= made


@pytest.mark.parametrize("dag", EVERY, ids=lambda dag: dag.dag_id)
def test_a_dag_says_what_it_is_and_runs_one_at_a_time(dag: DAG) -> None:
    assert dag.doc_md
    assert dag.max_active_runs == 1
    assert not dag.catchup
    for task in dag.tasks:
        assert task.doc_md, task.task_id
        assert task.on_failure_callback, task.task_id


def test_airflow_reads_the_dag_files_and_none_of_those_beside_them() -> None:
    from airflow.utils.file import list_py_file_paths

    read = {Path(path).name for path in list_py_file_paths(Path(str(retrain.__file__)).parent)}

    assert read == {
        "backup.py",
        "invalid_specs.py",
        "monitor.py",
        "prune.py",
        "retrain.py",
        "score.py",
    }


def test_reading_the_files_imports_nothing_heavy() -> None:
    heavy = ["tensorflow", "pyspark", "mlflow", "great_expectations", "openvino", "pandas"]
    files = sorted(path.stem for path in Path(str(retrain.__file__)).parent.glob("[!_]*.py"))
    code = (
        "import sys, importlib\n"
        f"for name in {files}: importlib.import_module('dags.' + name)\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )

    assert answer.stdout.strip().splitlines()[-1] == "[]"
