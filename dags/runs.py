"""When a DAG runs: what wakes it, and who woke a run."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.definitions.asset import AssetUniqueKey

from dags.callbacks import dataset_of
from pipelines.outputs import Waker

WOKEN_BY = "{{ woken_by(dag_run, triggering_asset_events) }}"
"""Template of the argument that tells a step who woke its run."""
FRESH = "{{ run_id if params.fresh else None }}"
"""Template of what tells a run's results from all that stand: the run's own name, so that a task
that is tried again goes on with what the run has made; nothing, where what stands may serve."""


def waking(cron: str | None, *assets: Asset) -> Any:
    """A DAG's ``schedule``: a time, any of these assets, or both, as far as there are any.

    The clock first wakes it at the next time, not at once for the one before the stack came up.
    """
    clock = (
        CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta()) if cron else None
    )
    if not assets:
        return clock
    woken = AssetAny(*assets)
    return AssetOrTimeSchedule(timetable=clock, assets=woken) if clock else woken


def woken_by(run: Any, events: Iterable[AssetUniqueKey]) -> Waker:
    """Who woke a run: the landing folder alone, drift (and whatever else), the clock, a person.

    Args:
        run: Airflow's DAG run.
        events: the assets whose events woke it; empty for other runs.
    """
    if run.run_type == "scheduled":
        return "schedule"
    woke = {asset.name for asset in events}
    if run.run_type != "asset_triggered" or not woke:
        return "hand"
    return "landing" if woke == {f"{dataset_of(run.dag_id)}_landing"} else "drift"
