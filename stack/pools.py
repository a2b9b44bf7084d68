"""Airflow's pool of heavy tasks: how many run at once on this machine, whatever their data set.

Two data sets that retrain together take turns, step by step, and leave the service its share.
"""

import os

import psutil

from pipelines import database
from pipelines.scheduler import HEAVY_POOL
from pipelines.settings import Settings

CORES_EACH = 2
ABOUT = "Steps that keep cores and memory busy; MEDLOOP_HEAVY_TASKS"


def heavy_tasks(settings: Settings) -> int:
    """How many heavy steps run at once: as set, or as cores and memory allow; at least one."""
    if settings.heavy_tasks is not None:
        return settings.heavy_tasks
    by_cores = len(os.sched_getaffinity(0)) // CORES_EACH
    by_memory = psutil.virtual_memory().total / 2**30 / settings.heavy_gigabytes
    return max(1, min(by_cores, int(by_memory)))


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
