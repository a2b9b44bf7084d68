"""Airflow's records of past runs, which Airflow's own ``airflow db clean`` removes."""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime

from pipelines import database
from pipelines.errors import MedloopError
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
"""Airflow sets it in tasks, so that they cannot reach the database by accident."""
ELSEWHERE = "Airflow's database is not this installation's: run `airflow db clean` where it is"


def clean(settings: Settings, *, before: float) -> str:
    """Remove runs and all that belongs to them, but for the newest run of each DAG.

    Args:
        settings: the installation's.
        before: they began before this time, in seconds since 1970.

    Returns:
        What was done, for a person.

    Raises:
        MedloopError: Airflow's command failed.
    """
    home = settings.home / "airflow"
    if not database.stands(settings) or not (home / "airflow.cfg").is_file():
        return ELSEWHERE
    until = datetime.fromtimestamp(before, UTC).isoformat(timespec="seconds")
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", until]
    command += ["--skip-archive", "--yes", "--error-on-cleanup-failure"]
    environment = {name: value for name, value in os.environ.items() if name != CONNECTION}
    ran = subprocess.run(
        command,
        env=environment | {"AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        last = (ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:]
        raise MedloopError(
            f"`airflow db clean` failed ({' '.join(last)}). Is PostgreSQL up (medloop stack "
            "status)? All else was pruned."
        )
    return f"Airflow's records of runs before {until[:10]} are removed"
