"""Who woke a run, and when it is late."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import Asset, AssetOrTimeSchedule
from airflow.sdk.definitions.asset import AssetUniqueKey

from dags.runs import deadline, waking, woken_by
from pipelines.spec import load_spec

WriteSpec = Callable[..., str]


@dataclass(frozen=True)
class Run:
    run_type: str
    dag_id: str = "retrain_brain_mri"


LANDING = AssetUniqueKey(name="brain_mri_landing", uri="medloop://brain_mri/landing")
DRIFT = AssetUniqueKey(name="brain_mri_drift", uri="medloop://brain_mri/drift")


@pytest.mark.parametrize(
    ("kind", "events", "waker"),
    [
        ("manual", [], "hand"),
        ("backfill", [], "hand"),
        ("scheduled", [], "schedule"),
        ("asset_triggered", [LANDING], "landing"),
        ("asset_triggered", [DRIFT], "drift"),
        ("asset_triggered", [LANDING, DRIFT], "drift"),
    ],
)
def test_a_run_knows_who_woke_it(kind: str, events: list[AssetUniqueKey], waker: str) -> None:
    assert woken_by(Run(kind), events) == waker


def test_without_clock_and_assets_a_dag_is_woken_by_hand_only() -> None:
    assert waking(None) is None


def test_clock_and_assets_both_wake_a_dag() -> None:
    made = waking("@daily", Asset("one"), Asset("two"))

    assert isinstance(made, AssetOrTimeSchedule)
    condition: Any = made.asset_condition
    assert {asset.name for asset in condition.objects} == {"one", "two"}


def test_the_time_in_which_an_approval_may_come_is_no_lateness(write_spec: WriteSpec) -> None:
    name = write_spec(retrain={"deadline_hours": 3}, approval={"hours": 24})
    made = deadline(load_spec(name), "retrain_scans")

    assert made is not None
    assert made.interval == timedelta(hours=27)
    assert made.callback.kwargs == {"dag": "retrain_scans", "hours": 27}


def test_a_spec_may_want_no_deadline(write_spec: WriteSpec) -> None:
    name = write_spec(retrain={"deadline_hours": None})

    assert deadline(load_spec(name), "retrain_scans") is None
