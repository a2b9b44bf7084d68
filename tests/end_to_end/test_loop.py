"""The loop as its users live it, by the real scheduler on the real parts, in order."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.alerts.log import latest
from pipelines.backup.manifest import verify
from pipelines.phantom import generate
from pipelines.scheduler import RunState
from pipelines.storage import Store, open_store

from .conftest import SPEC, Loop, wait_until

pytestmark = pytest.mark.timeout(900)
WAIT = 600
"""Seconds after which a run is taken to hang; on a machine at rest each takes a tenth of it."""
OTHERS = [SPEC["candidates"][0] | {"learning_rate": 5e-4}, SPEC["candidates"][1]]
"""With another rate it is another model, whichever of the two serves already."""
PASSES_ALL = SPEC["gate"] | {"max_sensitivity_drop": 1.0, "max_metric_drop": 1.0}
"""A gate that no network of a few epochs is too bad for."""


@pytest.mark.usefixtures("unattended")
def test_one_command_leads_from_a_folder_to_an_explained_answer(loop: Loop) -> None:
    printed = loop.make("run", "DATASET=tiny")

    assert "version 1 is the champion" in printed
    assert "One question" in printed
    answer = loop.service.predict(loop.an_image("round_lesion"), dataset="tiny")
    assert answer["model_version"] == 1
    assert set(answer["probabilities"]) == {c["name"] for c in SPEC["classes"]}
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    overlay = loop.service.gradcam(loop.an_image("round_lesion"), dataset="tiny")
    assert overlay.startswith(b"\x89PNG")
    assert (loop.settings.home / "data_docs" / "index.html").is_file()
    assert "duplicates and leaks" in (loop.settings.home / "reports" / "tiny-leaks.html").read_text(
        "utf-8"
    )
    run = loop.last_run()
    assert run.state == "success"
    assert run.state_of("promote") == "success"
    assert run.state_of("refuse") == "skipped"


def test_a_rerun_with_nothing_new_ends_soon_and_trains_nothing(loop: Loop) -> None:
    began = time.monotonic()
    told = loop.medloop("retrain", "tiny")

    # Within a minute on a machine at rest; here other tests train beside it, and go first.
    assert time.monotonic() - began < 240
    assert "version 1 is the best and serves already" in told
    assert loop.last_run().state_of("unchanged") == "success"
    assert len(open_store(loop.settings).names("tiny/snapshots")) == 1


def test_a_cleared_task_and_those_after_it_run_again_and_change_nothing(loop: Loop) -> None:
    run = loop.last_run()
    wanted = {"dag_run_id": run.run, "task_ids": ["select"], "include_downstream": True}
    loop.scheduler._call(
        "POST",
        "dags/retrain_tiny/clearTaskInstances",
        wanted | {"dry_run": False, "only_failed": False},
    )

    again = wait_until(lambda: _ended(loop, "retrain_tiny"), seconds=WAIT, what="the run's end")
    assert again.run == run.run
    assert again.state == "success"
    assert again.state_of("unchanged") == "success"
    tries = {t["task_id"]: t["try_number"] for t in loop.tasks(again.dag, again.run)}
    assert (tries["land"], tries["gate"]) == (1, 2)
    assert "version 1" in loop.medloop("status")


def test_airflows_own_backfill_makes_nothing_twice(loop: Loop) -> None:
    count = len(loop.runs("retrain_tiny"))
    year = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-02T00:00:00Z"}
    loop.scheduler._call(
        "POST", "backfills", {"dag_id": "retrain_tiny", "max_active_runs": 1} | year
    )

    wait_until(lambda: _ended(loop, "retrain_tiny", count + 1), seconds=WAIT, what="the backfill")
    (run,) = [run for run in loop.runs("retrain_tiny") if run["run_type"] == "backfill"]
    state = loop.scheduler.state("retrain_tiny", run["dag_run_id"])
    assert state.state == "success"
    assert state.state_of("unchanged") == "success"
    assert len(open_store(loop.settings).names("tiny/snapshots")) == 1


def test_a_refused_challenger_leaves_the_champion_and_the_run_says_so(loop: Loop) -> None:
    loop.write_spec(candidates=OTHERS, gate={"minimum": {"accuracy": 1.0, "macro_auroc": 1.0}})

    told = loop.medloop("retrain", "tiny", "--candidate", "scratch")

    assert "REFUSED" in told
    run = loop.last_run()
    assert run.state == "success"
    assert run.state_of("refuse") == "success"
    assert run.state_of("promote") == "skipped"
    assert "version 1" in loop.medloop("status")


def test_what_a_person_rejects_is_not_promoted_and_the_run_says_by_whom_and_why(
    loop: Loop,
) -> None:
    # What the gate has just refused would pass now: only a person stands between.
    loop.write_spec(candidates=OTHERS, gate=PASSES_ALL, approval={"hours": 1})

    with ThreadPoolExecutor(1) as threads:
        retrained = threads.submit(loop.medloop, "retrain", "tiny", "--candidate", "scratch")
        asked = wait_until(
            lambda: loop.scheduler.questions("retrain_tiny"), seconds=WAIT, what="a question"
        )
        loop.medloop("reject", "tiny", "--note", "too few of them")
        retrained.result()

    assert [question.subject.partition(":")[0] for question in asked] == ["Tiny phantoms"]
    assert "| macro f1 |" in asked[0].body
    run = loop.last_run()
    assert run.state == "success"
    assert run.state_of("promote") == "skipped"
    answer = loop.scheduler.result(run.dag, run.run, "settle")
    assert (answer["approved"], answer["by"], answer["note"]) == (False, "admin", "too few of them")
    assert "not approved" in loop.medloop("status")
    sent = [(notice.alert.kind, notice.state) for notice in latest(loop.settings, 20)]
    assert ("approval_refused", "begun") in sent
    assert ("approval_wanted", "over") in sent


def test_nobody_is_asked_the_same_twice(loop: Loop) -> None:
    loop.medloop("retrain", "tiny", "--candidate", "scratch")

    run = loop.last_run()
    assert run.state_of("refuse") == "success"
    assert run.state_of("ask") == "skipped"
    verdict = loop.scheduler.result(run.dag, run.run, "gate")
    assert "rejected by admin" in verdict["rules"][-1]["rule"]


def test_a_fresh_run_makes_the_same_again_and_what_is_approved_is_promoted_and_scores(
    loop: Loop,
) -> None:
    loop.write_spec(gate=PASSES_ALL, approval={"hours": 1})
    before = len(_all(open_store(loop.settings), "training_sets"))

    with ThreadPoolExecutor(1) as threads:
        retrained = threads.submit(
            loop.medloop, "retrain", "tiny", "--fresh", "--candidate", "scratch"
        )
        wait_until(
            lambda: loop.scheduler.questions("retrain_tiny"), seconds=WAIT, what="a question"
        )
        loop.medloop("approve", "tiny", "--note", "fine")
        printed = retrained.result()

    loop.write_spec()
    assert "approved by admin" in printed
    assert "is the champion" in printed
    store = open_store(loop.settings)
    assert len(store.names("tiny/snapshots")) == 1
    paths = _all(store, "training_sets")
    outputs = [store.read_json(f"{path}/manifest.json")["output"] for path in paths]
    assert len(outputs) == before + 1
    assert len({output["images"] for output in outputs}) == len(outputs)
    assert len({store.read(f"{path}/keys.parquet") for path in paths}) == 1
    assert len({tuple(store.names(f"{output['images']}/parts")) for output in outputs}) == 1
    scored = wait_until(lambda: _ended(loop, "score_tiny", 2), seconds=WAIT, what="the scores")
    assert scored.state == "success"
    assert len(store.names("tiny/scores")) == 2
    assert _ended(loop, "monitor_tiny") is not None


def test_a_landing_that_fails_its_checks_stops_the_run_with_the_reason(
    loop: Loop, tmp_path: Path
) -> None:
    generate(tmp_path / "bad", seed=6, images=30, size=64)
    for n in range(20):
        (tmp_path / "bad" / "round_lesion" / f"subject9{n}_slice1.png").write_bytes(b"no picture")

    told = loop.medloop("retrain", "tiny", "--landing", str(tmp_path / "bad"), status=1)

    assert "check_landing" in told
    assert "At most 10.0% of the landed files are refused" in told
    assert loop.last_run().state_of("ingest") == "upstream_failed"


def test_stages_run_by_hand_as_the_dag_runs_them(loop: Loop, tmp_path: Path) -> None:
    image = loop.an_image("diffuse_lesion")

    loop.medloop("restore", "tiny", f"diffuse_lesion/{image.name}", "--to", str(tmp_path))
    (restored,) = tmp_path.rglob("*.png")
    assert restored.read_bytes() == image.read_bytes()

    assert "Leak-free test set" in loop.medloop("evaluate", "tiny")
    loop.medloop("gradcam", "tiny", str(image), "--output", str(tmp_path / "cam.png"))
    assert (tmp_path / "cam.png").read_bytes().startswith(b"\x89PNG")


def test_rollback_needs_a_previous_champion_and_promotion_a_version(loop: Loop) -> None:
    assert "99" in loop.medloop("promote", "tiny", "99", status=1)


def test_the_scheduler_takes_a_backup_that_is_whole(loop: Loop) -> None:
    run = loop.scheduler.start("backup", {})
    *_, ended = loop.scheduler.follow("backup", run)

    assert ended.state == "success"
    manifest = verify(Path(loop.scheduler.result("backup", run, "backup")))
    assert list(manifest.databases) == ["airflow", "mlflow"]
    assert {"home/airflow/secrets.json", "datasets/tiny.yaml"} <= set(manifest.files)
    assert any(folder.startswith("tiny/snapshots/") for folder in manifest.partial)


def test_status_for_programs_is_json(loop: Loop) -> None:
    told = json.loads(loop.medloop("stack", "status", "--json"))

    assert {part["state"] for part in told["parts"]} == {"ready"}


def _ended(loop: Loop, dag: str, count: int = 1) -> RunState | None:
    """The last run of a DAG once there are so many and all have ended."""
    runs = loop.runs(dag)
    if len(runs) < count or any(run["state"] in ("queued", "running") for run in runs):
        return None
    return loop.last_run(dag)


def _all(store: Store, what: str) -> list[str]:
    return [f"tiny/{what}/{name}" for name in store.names(f"tiny/{what}")]
