"""What wakes a DAG, and who woke a run."""

from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk import Asset, AssetOrTimeSchedule
from airflow.sdk.definitions.asset import AssetUniqueKey

from dags.runs import waking, woken_by


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
