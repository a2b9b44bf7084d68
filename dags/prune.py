"""``prune``: removes what nobody needs any more, as often as ``MEDLOOP_PRUNE_SCHEDULE`` says.

It waits for nothing and wakes nothing. What the versions in use need stays; see docs/retention.md.
"""

import pendulum
from airflow.sdk import DAG, dag

from dags.callbacks import run_succeeded
from dags.steps import step
from pipelines import loop
from pipelines.retention_settings import BY_HAND
from pipelines.settings import get_settings


def prune_dag() -> DAG:
    """The DAG of one task; without a schedule where the settings say ``none``."""
    schedule = get_settings().prune_schedule

    @dag(
        dag_id="prune",
        dag_display_name="Prune",
        doc_md=__doc__,
        schedule=None if schedule == BY_HAND else schedule,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        on_success_callback=run_succeeded,
        is_paused_upon_creation=False,
        tags=["operations"],
    )
    def prune() -> None:
        step(loop.prune)()

    return prune()


prune = prune_dag()
