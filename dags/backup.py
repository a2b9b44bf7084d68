"""``backup``: a copy of the installation's state, as often as ``MEDLOOP_BACKUP_HOURS`` says.

It waits for nothing and wakes nothing: a backup is consistent while everything else runs.
"""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, dag

from dags.callbacks import run_succeeded
from dags.steps import step
from pipelines import loop
from pipelines.settings import get_settings


def backup_dag() -> DAG:
    """The DAG of one task; without a schedule unless the settings have one."""
    hours = get_settings().backup_hours

    @dag(
        dag_id="backup",
        dag_display_name="Backup",
        doc_md=__doc__,
        schedule=timedelta(hours=hours) if hours else None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        on_success_callback=run_succeeded,
        is_paused_upon_creation=False,
        tags=["operations"],
    )
    def backup() -> None:
        step(loop.backup)()

    return backup()


backup = backup_dag()
