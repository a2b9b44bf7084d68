"""Airflow: API server, scheduler, DAG processor and triggerer, on PostgreSQL.

Each is a process of its own: ``airflow standalone`` leaves children behind when it is ended. The
three without an address are asked through the API server, which knows their heartbeats.
"""

import sys
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version

from pipelines.settings import Settings
from stack import pools, tables
from stack.ask import http_json, http_obstacle
from stack.environment import command
from stack.part import Part, Port, Process, Say
from stack.scheduler_config import airflow_home, write_configuration

DATABASE = "airflow"
API_SERVER = "airflow-api-server"


def part(settings: Settings) -> Part:
    """Airflow's four processes."""
    return Part(
        name="airflow",
        needs=["postgres"],
        processes=[
            _api_server(settings),
            # Logs are read from the shared folder: no log servers, which listen everywhere.
            # A task asks the API server before all else, and counts as tried where none answers.
            replace(
                _behind(settings, "scheduler", "--skip-serve-logs"),
                command=[sys.executable, "-m", "stack.preload", "scheduler", "--skip-serve-logs"],
                after=API_SERVER,
            ),
            _behind(settings, "dag-processor"),
            _behind(settings, "triggerer", "--skip-serve-logs"),
        ],
        prepare=lambda say: _prepare(settings, say),
    )


def _api_server(settings: Settings) -> Process:
    address = settings.airflow_address
    return Process(
        name=API_SERVER,
        command=[command("airflow"), "api-server"],
        environment=_environment(settings),
        ports=[Port(settings.airflow_port, "MEDLOOP_AIRFLOW_PORT")],
        version=_release,
        url=address,
        obstacle=lambda _: http_obstacle(f"{address}/api/v2/version"),
        stop_seconds=10,
    )


def _behind(settings: Settings, name: str, *options: str) -> Process:
    return Process(
        name=f"airflow-{name}",
        command=[command("airflow"), name, *options],
        version=_release,
        environment=_environment(settings),
        obstacle=lambda started: _silence(settings, name.replace("-", "_"), started),
    )


def _release() -> str:
    return version("apache-airflow-core")


def _environment(settings: Settings) -> dict[str, str]:
    return {"AIRFLOW_HOME": str(airflow_home(settings))}


def _silence(settings: Settings, name: str, started: int) -> str | None:
    """What keeps a process from being ready: no heartbeat since it started."""
    url = f"{settings.airflow_address}/api/v2/monitor/health"
    health = http_json(url)
    if health is None:
        return "the API server does not answer yet"
    beat = health[name][f"latest_{name}_heartbeat"]
    if beat is None or datetime.fromisoformat(beat).timestamp() < started:
        return "no heartbeat yet"
    status = health[name]["status"]
    return None if status == "healthy" else f"its heartbeat is late ({status})"


def _prepare(settings: Settings, say: Say) -> None:
    write_configuration(settings)
    tables.bring_up_to_date(
        settings,
        DATABASE,
        release=f"apache-airflow {_release()}",
        migration=[command("airflow"), "db", "migrate"],
        environment=_environment(settings),
        say=say,
    )
    pools.ensure(settings)
