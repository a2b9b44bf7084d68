"""``score_<dataset>``: the champion's predictions for every image of a snapshot or folder.

Woken by the champion that ``retrain_<dataset>`` has promoted, or by hand (``medloop score``), then
also for another snapshot or a folder. It makes the scores, which wake nothing.
"""

from airflow.sdk import DAG, Param, dag

from dags import assets
from dags.building import build_each, names_in_use
from dags.callbacks import run_succeeded
from dags.runs import waking
from dags.steps import heavy_step
from pipelines import loop
from pipelines.spec import load_spec


def score_dag(name: str) -> DAG:
    """The scoring DAG of one data set."""
    spec = load_spec(name)

    @dag(
        dag_id=f"score_{name}",
        dag_display_name=f"Score: {spec.title}",
        doc_md=__doc__,
        schedule=waking(None, assets.champion(name)),
        catchup=False,
        max_active_runs=1,
        on_success_callback=run_succeeded,
        default_args={"priority_weight": 1},
        render_template_as_native_obj=True,
        is_paused_upon_creation=False,
        tags=["score", name],
        params={
            "snapshot": Param(
                None,
                type=["null", "string"],
                title="Snapshot",
                description="Id of a snapshot; the newest if this and the folder are empty.",
            ),
            "source": Param(
                None,
                type=["null", "string"],
                title="Folder",
                description="A folder of images to score instead of a snapshot.",
            ),
        },
    )
    def score() -> None:
        heavy_step(loop.score, outlets=[assets.scores(name)])(
            name, snapshot="{{ params.snapshot }}", source="{{ params.source }}"
        )

    return score()


globals().update(build_each(score_dag, names_in_use()))
