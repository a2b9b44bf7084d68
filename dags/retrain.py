"""``retrain_<dataset>``: from a landing folder to a new champion, or to a refusal with reasons.

Woken by the spec's schedule, by the landing folder once new files have stopped arriving
(``on_landing``), by drift that ``monitor_<dataset>`` has confirmed (``on_drift``), or by hand
(``medloop retrain``). It makes the snapshot, which wakes ``monitor_<dataset>``, and the champion,
which wakes ``score_<dataset>`` and the service.

Every step skips what already stands, so a run with nothing new ends within a minute and a killed
one resumes. The run's state tells whether the loop worked; which of ``promote``, ``refuse``,
``unchanged`` and ``too_few`` ran tells what was decided, and ``settle``, where the spec wants an
approval, what a person said. The clock starts once the data set is in use (`pipelines.activity`).
"""

from typing import Any

from airflow.sdk import DAG, Asset, Param, dag, task_group

from dags import assets
from dags.approval import RESPONSE, approval
from dags.building import build_each
from dags.callbacks import run_succeeded
from dags.lateness import deadline
from dags.runs import FRESH, WOKEN_BY, waking, woken_by
from dags.steps import branch, heavy_step, step
from pipelines import loop
from pipelines.activity import is_active, is_disabled
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec, spec_names

ONE_AT_A_TIME = {"max_active_tis_per_dagrun": 1}
"""Candidates train one after the other: each uses all cores."""
WITHOUT_THE_SKIPPED = "none_failed_min_one_success"
"""A candidate that cannot be trained on this machine is skipped; the others go on. The one success
may be the images', so that a run in which all were skipped fails, and says why."""


def retrain_dag(name: str) -> DAG:
    """The retraining DAG of one data set."""
    spec = load_spec(name)
    settings = get_settings()
    clock = spec.retrain.schedule if is_active(settings, name) else None
    wakers = [] if is_disabled(settings, name) else _wakers(spec)

    @dag(
        dag_id=f"retrain_{name}",
        dag_display_name=f"Retrain: {spec.title}",
        doc_md=__doc__,
        schedule=waking(clock, *wakers),
        catchup=False,
        max_active_runs=1,
        deadline=deadline(spec, f"retrain_{name}"),
        on_success_callback=run_succeeded,
        default_args={"priority_weight": 10},
        user_defined_macros={"woken_by": woken_by},
        render_template_as_native_obj=True,
        is_paused_upon_creation=False,
        tags=["retrain", name],
        params=_params(spec),
    )
    def retrain() -> None:
        landing = step(loop.land)(name, source="{{ params.landing }}", fresh=FRESH)
        landing_checked = step(loop.check_landing)(name, landing, fresh=FRESH)
        snapshot = step(loop.ingest, outlets=[assets.snapshot(name)])(name, landing)
        enough = step(loop.enough)(name, snapshot, woken_by=WOKEN_BY)
        too_few = step(loop.too_few)(name, enough)

        split = step(loop.split)(name, snapshot, fresh=FRESH)
        snapshot_checked = step(loop.check_snapshot)(name, snapshot, split)
        prepared = heavy_step(loop.prepare, outlets=[assets.prepared(name)])(
            name, snapshot, split, fresh=FRESH
        )
        prepared_checked = step(loop.check_prepared)(name, prepared)

        wanted = step(loop.candidates)(name, wanted="{{ params.candidates }}")

        @task_group(prefix_group_id=False)
        def measured(candidate: str) -> Any:
            """Train and evaluate one candidate.

            A group, so that how often both run hangs on the candidates alone: mapped over the
            trained ones, evaluations would be taken for removed once their training is cleared.
            """
            trained = heavy_step(loop.train, **ONE_AT_A_TIME)(name, prepared, candidate)
            prepared_checked >> trained
            return heavy_step(loop.evaluate, **ONE_AT_A_TIME)(name, prepared, trained)

        evaluated = measured.expand(candidate=wanted)
        select = heavy_step(
            loop.select, outlets=[assets.challenger(name)], trigger_rule=WITHOUT_THE_SKIPPED
        )
        challenger = select(name, prepared, evaluated)
        verdict = step(loop.gate)(name, prepared, challenger)

        passed = step(loop.canary)(name, challenger)
        promoted = step(loop.promote, outlets=[assets.champion(name)])(
            name,
            passed,
            prepared=prepared,
            challenger=challenger,
            approved=spec.approval is not None,
        )
        refused = step(loop.refuse)(name, verdict)
        unchanged = step(loop.unchanged)(name, challenger)

        landing_checked >> snapshot
        branch(loop.proceed)(enough) >> [split, too_few]
        snapshot_checked >> prepared
        if spec.retrain.profile:
            # What it draws is for people: it waits until nothing else wants its place.
            prepared_checked >> heavy_step(loop.profile_data, priority_weight=1)(name, prepared)
        branch(loop.decide)(challenger, verdict) >> [passed, refused, unchanged]
        if spec.approval:
            question = step(loop.ask)(name, verdict, passed)
            settled = step(loop.settle, trigger_rule="none_failed_min_one_success")(
                name, question, RESPONSE
            )
            question >> approval(spec.approval) >> promoted >> settled

    return retrain()


def _wakers(spec: DatasetSpec) -> list[Asset]:
    return [
        *([assets.landing(spec.name)] if spec.retrain.on_landing else []),
        *([assets.drift(spec.name)] if spec.retrain.on_drift else []),
    ]


def _params(spec: DatasetSpec) -> dict[str, Param]:
    every = [candidate.name for candidate in spec.candidates]
    return {
        "landing": Param(
            None,
            type=["null", "string"],
            title="Landing folder",
            description="The spec's own if empty.",
        ),
        "candidates": Param(
            spec.usual_candidates,
            type="array",
            items={"enum": every},
            title="Candidates to train and compare",
        ),
        "fresh": Param(
            False,
            type="boolean",
            title="Make everything anew",
            description="Nothing that stands is used, but for the snapshot of originals.",
        ),
    }


globals().update(build_each(retrain_dag, spec_names()))
