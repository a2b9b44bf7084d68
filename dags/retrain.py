"""``retrain_<dataset>``: from a landing folder to a new champion, or to a refusal with reasons.

Starts on the spec's schedule, or by hand (``medloop retrain``). Every step skips what already
stands, so a run with nothing new ends within a minute and a killed one resumes. The run's state
tells whether the loop worked; which of ``promote``, ``refuse`` and ``unchanged`` ran tells what
was decided.
"""

import pendulum
from airflow.sdk import DAG, Param, dag

from dags import assets
from dags.steps import branch, step
from pipelines import loop
from pipelines.spec import load_spec, spec_names


def retrain_dag(name: str) -> DAG:
    """The retraining DAG of one data set."""
    spec = load_spec(name)
    every = [candidate.name for candidate in spec.candidates]

    @dag(
        dag_id=f"retrain_{name}",
        dag_display_name=f"Retrain: {spec.title}",
        doc_md=__doc__,
        schedule=spec.retrain.schedule,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        render_template_as_native_obj=True,
        is_paused_upon_creation=False,
        tags=["retrain", name],
        params={
            "landing": Param(
                None,
                type=["null", "string"],
                title="Landing folder",
                description="The spec's own if empty.",
            ),
            "candidates": Param(
                every, type="array", items={"enum": every}, title="Candidates to train and compare"
            ),
        },
    )
    def retrain() -> None:
        landing = step(loop.land)(name, source="{{ params.landing }}")
        landing_checked = step(loop.check_landing)(name, landing)
        snapshot = step(loop.ingest, outlets=[assets.snapshot(name)])(name, landing)
        split = step(loop.split)(name, snapshot)
        snapshot_checked = step(loop.check_snapshot)(name, snapshot, split)
        prepared = step(loop.prepare, outlets=[assets.prepared(name)])(name, snapshot, split)
        prepared_checked = step(loop.check_prepared)(name, prepared)

        wanted = step(loop.candidates)(name, wanted="{{ params.candidates }}")
        one_at_a_time = {"max_active_tis_per_dagrun": 1}
        trained = (
            step(loop.train, **one_at_a_time)
            .partial(dataset=name, prepared=prepared)
            .expand(candidate=wanted)
        )
        evaluated = (
            step(loop.evaluate, **one_at_a_time)
            .partial(dataset=name, prepared=prepared)
            .expand(trained=trained)
        )
        challenger = step(loop.select)(name, prepared, evaluated)
        verdict = step(loop.gate)(name, prepared, challenger)

        passed = step(loop.canary)(name, challenger)
        promoted = step(loop.promote, outlets=[assets.champion(name)])(name, passed)
        refused = step(loop.refuse)(name, verdict)
        unchanged = step(loop.unchanged)(name, challenger)

        landing_checked >> snapshot
        snapshot_checked >> prepared
        prepared_checked >> trained
        branch(loop.decide)(challenger, verdict) >> [passed, refused, unchanged]
        passed >> promoted

    return retrain()


for dataset in spec_names():
    globals()[f"retrain_{dataset}"] = retrain_dag(dataset)
