"""Airflow's ``airflow.cfg``, its secrets and its login, written before its first start.

A file instead of variables, so that ``AIRFLOW_HOME=.medloop/airflow airflow …`` by hand reads the
very same settings, and so that no secret shows in a process's environment.
"""

import configparser
import io
import json
import secrets
from pathlib import Path

from pipelines import database
from pipelines.atomic import write_private
from pipelines.settings import PROJECT, Settings
from stack import private

USER = "admin"
SEEN_SECONDS = 5
"""How soon a new DAG file is seen."""


def airflow_home(settings: Settings) -> Path:
    """Airflow's folder."""
    return settings.home / "airflow"


def passwords_file(settings: Settings) -> Path:
    """The file that holds each user's password, ``{"admin": "…"}``."""
    return airflow_home(settings) / "passwords.json"


def write_configuration(settings: Settings) -> None:
    """Write ``airflow.cfg``; secrets and password are made once and then kept."""
    private.once(passwords_file(settings), lambda: {USER: secrets.token_urlsafe(12)})
    config = configparser.RawConfigParser()
    config.read_dict(
        {
            section: {name: str(value).replace("%", "%%") for name, value in options.items()}
            for section, options in _options(settings).items()
        }
    )
    text = io.StringIO()
    config.write(text)
    write_private(airflow_home(settings) / "airflow.cfg", text.getvalue())


def _options(settings: Settings) -> dict[str, dict[str, object]]:
    keys = private.once(airflow_home(settings) / "secrets.json", _new_secrets)
    logs = settings.home / "logs" / "airflow"
    bundle = {
        "name": "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(PROJECT / "dags"), "refresh_interval": SEEN_SECONDS},
    }
    return {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": 4,
            "dags_folder": PROJECT / "dags",
            "load_examples": False,
            # What `Scheduler.reread` has had read again counts for the run that is started next.
            "min_serialized_dag_update_interval": 0,
            "fernet_key": keys["fernet"],
            "hostname_callable": "socket.gethostname",
            "execution_api_server_url": f"{settings.airflow_address}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": passwords_file(settings),
        },
        "database": {
            "sql_alchemy_conn": database.url(settings, "airflow"),
            "sql_alchemy_conn_async": database.url(settings, "airflow", driver="asyncpg"),
        },
        "api": {
            "host": settings.host,
            "port": settings.airflow_port,
            "base_url": settings.airflow_address,
            "workers": 1,
            "secret_key": keys["session"],
        },
        "api_auth": {"jwt_secret": keys["jwt"]},
        "logging": {
            "base_log_folder": logs,
            "dag_processor_child_process_log_directory": logs / "dag_processor",
            "colored_console_log": False,
        },
        "scheduler": {
            # The next task of a run begins half a second sooner; an idle scheduler takes 5 % of a
            # core for it.
            "scheduler_idle_sleep_time": 0.5,
            # A task whose process was killed is noticed, and tried again, in a minute.
            "task_instance_heartbeat_timeout": 60,
            "orphaned_tasks_check_interval": 10,
        },
        "workers": {
            # A task outlives an API server that is killed and comes back; by then it is taken for
            # lost, and tried again.
            "max_failed_heartbeats": 10,
            "execution_api_retries": 12,
        },
        "dag_processor": {
            "dag_bundle_config_list": json.dumps([bundle]),
            "refresh_interval": SEEN_SECONDS,
            "parsing_processes": 1,
        },
        "usage_data_collection": {"enabled": False},
    }


def _new_secrets() -> dict[str, str]:
    from cryptography.fernet import Fernet

    return {
        "fernet": Fernet.generate_key().decode(),
        "jwt": secrets.token_hex(32),
        "session": secrets.token_hex(32),
    }
