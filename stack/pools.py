"""Airflow's pool of heavy tasks: how many run at once on this machine, whatever their data set.

Two data sets that retrain together take turns, step by step, and leave the service its share.
"""

import os

import psutil

from pipelines import database
from pipelines.scheduler import HEAVY_POOL
from pipelines.settings import Settings

CORES_EACH = 2
GIGABYTES_EACH = 6
"""What a heavy step is given: training takes about half of it (docs/dags.md)."""
ABOUT = "Steps that keep cores and memory busy; MEDLOOP_HEAVY_TASKS"


def heavy_tasks(settings: Settings) -> int:
    """How many heavy steps run at once: as set, or as cores and memory allow; at least one."""
    if settings.heavy_tasks is not None:
        return settings.heavy_tasks
    memory = psutil.virtual_memory().total / 2**30
    return max(1, min(len(os.sched_getaffinity(0)) // CORES_EACH, int(memory / GIGABYTES_EACH)))


def ensure(settings: Settings) -> None:
    """Make the pool, or give it as many slots as it should have now.

    By SQL, before Airflow starts: its own command for it takes five seconds of every start.
    """
    database.query(
        settings,
        "INSERT INTO slot_pool (pool, slots, description, include_deferred) "
        f"VALUES ('{HEAVY_POOL}', {heavy_tasks(settings)}, '{ABOUT}', false) "
        "ON CONFLICT (pool) DO UPDATE SET slots = excluded.slots",
        database="airflow",
    )
