"""The retraining DAG's shape, without running it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from dags import retrain
from dags.retrain import retrain_dag
from pipelines import loop
from pipelines.errors import NotApproved
from pipelines.outputs import Prepared
from pipelines.scheduler import HEAVY_POOL
from pipelines.spec import spec_names

WriteSpec = Callable[..., str]


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
        ("ingest", "enough"),
        ("enough", "proceed"),
        ("proceed", "split"),
        ("proceed", "too_few"),
        ("check_snapshot", "prepare"),
        ("check_prepared", "train"),
        ("check_prepared", "profile_data"),
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


def test_only_a_passed_canary_leads_to_promotion_which_can_judge_again() -> None:
    assert dag("phantom").task_dict["promote"].upstream_task_ids == {
        "canary",
        "prepare",
        "select",
    }


def test_how_often_a_candidates_tasks_run_hangs_on_the_list_of_candidates_alone() -> None:
    # Mapped over each other's results, they would be taken for removed once those are cleared,
    # and what comes after them would begin without them.
    tasks: dict[str, Any] = dict(dag("phantom").task_dict)
    groups = [tasks[name].get_closest_mapped_task_group() for name in ("train", "evaluate")]

    assert groups[0] is groups[1] is not None
    assert {task.task_id for task in groups[0].iter_mapped_dependencies()} == {"candidates"}


def test_a_candidate_that_is_skipped_keeps_no_other_from_being_chosen() -> None:
    assert dag("phantom").task_dict["select"].trigger_rule == "none_failed_min_one_success"
    assert dag("phantom").task_dict["select"].upstream_task_ids == {"prepare", "evaluate"}


def test_nobody_is_asked_where_the_spec_wants_no_approval() -> None:
    assert not {"ask", "approval", "settle"} & set(dag("phantom").task_ids)


def test_the_images_are_not_profiled_where_the_spec_says_so(write_spec: WriteSpec) -> None:
    name = write_spec(retrain={"profile": False})

    assert "profile_data" not in retrain_dag(name).task_ids


def test_a_person_stands_between_canary_and_promotion_where_the_spec_says_so(
    write_spec: WriteSpec,
) -> None:
    approval = {"hours": 2, "users": ["radiologist"]}
    tasks: dict[str, Any] = dict(retrain_dag(write_spec(approval=approval)).task_dict)

    assert tasks["ask"].upstream_task_ids == {"gate", "canary"}
    assert tasks["promote"].upstream_task_ids == {"canary", "approval", "prepare", "select"}
    assert tasks["approval"].response_timeout == timedelta(hours=2)
    assert tasks["approval"].defaults == ["Reject"]
    assert tasks["approval"].assigned_users == [{"id": "radiologist", "name": "radiologist"}]


def test_a_run_that_was_planned_without_an_approval_does_not_promote_once_the_spec_asks_for_one(
    write_spec: WriteSpec,
) -> None:
    planned: dict[str, Any] = dict(retrain_dag(write_spec()).task_dict)
    asking: dict[str, Any] = dict(retrain_dag(write_spec(approval={})).task_dict)
    made = {"dataset": "scans", "candidate": "one", "run_id": "r", "version": 2, "id": "i"}
    prepared = Prepared(
        dataset="scans", id="i", snapshot="s", split="s", path="p", images="m", rows={}
    )
    known: dict[str, Any] = {"prepared": prepared.model_dump(), "challenger": made}
    approved = planned["promote"].op_kwargs["approved"]

    with pytest.raises(NotApproved, match="asks for an approval since this run began"):
        loop.promote("scans", 2, **known, approved=approved)
    assert asking["promote"].op_kwargs["approved"] is True


def test_a_rejection_skips_the_promotion_but_not_the_record_of_it(write_spec: WriteSpec) -> None:
    tasks = retrain_dag(write_spec(approval={})).task_dict

    assert tasks["approval"].downstream_task_ids == {"promote"}
    assert tasks["settle"].upstream_task_ids == {"ask", "promote"}
    assert tasks["settle"].trigger_rule == "none_failed_min_one_success"


@pytest.mark.parametrize(
    ("section", "woken"),
    [
        ({"on_landing": False}, set()),
        ({"on_landing": True}, {"scans_landing"}),
        ({"on_landing": True, "on_drift": True}, {"scans_landing", "scans_drift"}),
        ({"on_landing": False, "on_drift": True, "schedule": "@daily"}, {"scans_drift"}),
    ],
)
def test_what_the_spec_names_wakes_it(
    write_spec: WriteSpec, section: dict[str, object], woken: set[str]
) -> None:
    made = retrain_dag(write_spec(retrain=section))

    condition = getattr(made.timetable, "asset_condition", None)
    assert {asset.name for asset in condition.objects} == woken if condition else not woken
    assert ("schedule" in section) == (getattr(made.timetable, "timetable", None) is not None)


def test_heavy_steps_share_a_pool_and_small_ones_do_not_wait_for_it() -> None:
    heavy = {task.task_id for task in dag("phantom").tasks if task.pool == HEAVY_POOL}

    assert heavy == {"prepare", "profile_data", "train", "evaluate", "select"}


def test_every_task_says_what_it_does_and_tells_of_its_failure(write_spec: WriteSpec) -> None:
    for task in retrain_dag(write_spec(approval={})).tasks:
        assert task.doc_md, task.task_id
        assert task.on_failure_callback, task.task_id
