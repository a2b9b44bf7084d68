"""Airflow: API server, scheduler, DAG processor and triggerer, on PostgreSQL.

Each is a process of its own: ``airflow standalone`` leaves children behind when it is ended. The
three without an address are asked through the API server, which knows their heartbeats.
"""

import subprocess
from datetime import datetime
from importlib.metadata import version

from pipelines import database
from pipelines.errors import StackError
from pipelines.settings import Settings
from stack import pools
from stack.ask import http_json, http_obstacle
from stack.environment import command, inherited_environment, stack_environment
from stack.part import Part, Port, Process, Say
from stack.scheduler_config import airflow_home, write_configuration

DATABASE = "airflow"


def part(settings: Settings) -> Part:
    """Airflow's four processes."""
    return Part(
        name="airflow",
        needs=["postgres"],
        processes=[
            _api_server(settings),
            # Logs are read from the shared folder: no log servers, which listen everywhere.
            _behind(settings, "scheduler", "--skip-serve-logs"),
            _behind(settings, "dag-processor"),
            _behind(settings, "triggerer", "--skip-serve-logs"),
        ],
        prepare=lambda say: _prepare(settings, say),
    )


def _api_server(settings: Settings) -> Process:
    address = settings.airflow_address
    return Process(
        name="airflow-api-server",
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
    _migrate(settings, say)
    pools.ensure(settings)


def _migrate(settings: Settings, say: Say) -> None:
    release = f"apache-airflow {_release()}"
    # The database itself remembers for which release its tables were made.
    if database.query(settings, _DESCRIPTION) == release:
        return
    say("making Airflow's tables")
    ended = subprocess.run(
        [command("airflow"), "db", "migrate"],
        env=inherited_environment() | stack_environment(settings) | _environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = "\n".join((ended.stdout + ended.stderr).splitlines()[-10:])
        raise StackError(f"Airflow could not make its tables:\n{said}")
    database.query(settings, f"COMMENT ON DATABASE {DATABASE} IS '{release}'")


_DESCRIPTION = (
    f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{DATABASE}'"
)
