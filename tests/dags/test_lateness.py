"""When a run is late."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from airflow.serialization.decoders import decode_deadline_alert
from airflow.serialization.encoders import encode_deadline_alert

from dags.lateness import deadline
from pipelines.spec import load_spec

WriteSpec = Callable[..., str]


def test_the_time_in_which_an_approval_may_come_is_no_lateness(write_spec: WriteSpec) -> None:
    name = write_spec(retrain={"deadline_hours": 3}, approval={"hours": 24})
    made = deadline(load_spec(name), "retrain_scans")

    assert made is not None
    assert made.interval == timedelta(hours=27)
    assert made.callback.kwargs == {"dag": "retrain_scans", "hours": 27}


def test_a_spec_may_want_no_deadline(write_spec: WriteSpec) -> None:
    name = write_spec(retrain={"deadline_hours": None})

    assert deadline(load_spec(name), "retrain_scans") is None


def test_airflow_counts_it_from_when_it_makes_the_run(write_spec: WriteSpec) -> None:
    made = deadline(load_spec(write_spec(retrain={"deadline_hours": 3})), "retrain_scans")
    assert made is not None

    # The scheduler knows it by what the DAG processor has written down, and by our plugin.
    read = decode_deadline_alert(encode_deadline_alert(made))
    interval = timedelta(hours=3)
    due = read.reference.evaluate_with(session=None, interval=interval, dag_id="d", run_id="r")

    assert abs(due - datetime.now(UTC) - interval) < timedelta(minutes=1)
