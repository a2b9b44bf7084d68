"""``monitor_<dataset>``: what the service was asked, and each new snapshot, against the reference.

Woken by the spec's schedule (``monitor.schedule``, each hour by default), by the snapshot that
``retrain_<dataset>`` has made, or by hand (``medloop monitor``). It makes the reference profile of
the champion, and, once in an episode of confirmed drift, the drift that wakes
``retrain_<dataset>`` where the spec says so (``retrain.on_drift``). Without a champion there is
nothing to watch, and the run ends after its first task.
"""

from airflow.sdk import DAG, dag

from dags import assets
from dags.building import build_each, names_in_use
from dags.callbacks import run_succeeded
from dags.runs import waking
from dags.steps import heavy_step, only_if, step
from pipelines import loop
from pipelines.spec import load_spec


def monitor_dag(name: str) -> DAG:
    """The monitoring DAG of one data set."""
    spec = load_spec(name)

    @dag(
        dag_id=f"monitor_{name}",
        dag_display_name=f"Monitor: {spec.title}",
        doc_md=__doc__,
        schedule=waking(spec.monitor.schedule, assets.snapshot(name)),
        catchup=False,
        max_active_runs=1,
        on_success_callback=run_succeeded,
        default_args={"priority_weight": 1},
        is_paused_upon_creation=False,
        tags=["monitor", name],
    )
    def monitor() -> None:
        watched = only_if(loop.watched)(name)
        profile = heavy_step(loop.profile, outlets=[assets.reference_profile(name)])(name)
        monitored = step(loop.monitor)(name)
        confirmed = only_if(loop.drift_confirmed)(monitored)
        announced = step(loop.confirm_drift, outlets=[assets.drift(name)])(name, monitored)

        watched >> profile >> monitored
        confirmed >> announced

    return monitor()


globals().update(build_each(monitor_dag, names_in_use()))
