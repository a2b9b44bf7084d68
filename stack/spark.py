"""Spark's standalone cluster: a Master and one Worker, from the jars that PySpark ships.

Who may use it must know its secret, which lies in a private file: a job runs as the user who
started the stack. A Master that is started again knows its workers and applications from a file.
"""

import os
import secrets
from importlib.metadata import version
from pathlib import Path

from pipelines.atomic import write_private
from pipelines.settings import Settings
from pipelines.spark.cluster import standalone_file
from stack import private
from stack.ask import http_json
from stack.environment import java
from stack.part import Part, Port, Process

SETTING = "MEDLOOP_SPARK_PORT"
MASTER_WEB, WORKER, WORKER_WEB = 1, 2, 3
"""Ports, counted from the Master's own."""
WORKER_MEMORY = "4g"
"""What all executors together may take."""


def part(settings: Settings) -> Part:
    """The Master and the Worker."""
    return Part(
        name="spark",
        processes=[master(settings), worker(settings)],
        prepare=lambda _: _prepare(settings),
    )


def master(settings: Settings) -> Process:
    """The Master."""
    web = settings.spark_port + MASTER_WEB
    return Process(
        name="spark-master",
        command=_server(
            settings,
            "master.Master",
            *("--port", str(settings.spark_port), "--webui-port", str(web)),
        ),
        environment=_environment(settings),
        version=lambda: version("pyspark"),
        ports=[Port(settings.spark_port, SETTING), Port(web, SETTING)],
        url=f"http://{settings.inner_host}:{web}",
        obstacle=lambda _: _master_obstacle(settings),
        stop_seconds=5,
    )


def worker(settings: Settings, *, master: str | None = None) -> Process:
    """The Worker.

    Args:
        settings: the installation.
        master: the Master's host, if not this one.
    """
    port, web = settings.spark_port + WORKER, settings.spark_port + WORKER_WEB
    return Process(
        name="spark-worker",
        command=_server(
            settings,
            "worker.Worker",
            *("--port", str(port), "--webui-port", str(web)),
            *("--cores", str(os.cpu_count() or 1), "--memory", WORKER_MEMORY),
            *("--work-dir", str(settings.work / "spark-worker")),
            f"spark://{master or settings.inner_host}:{settings.spark_port}",
        ),
        environment=_environment(settings),
        version=lambda: version("pyspark"),
        ports=[Port(port, SETTING), Port(web, SETTING)],
        url=f"http://{settings.inner_host}:{web}",
        obstacle=lambda _: _worker_obstacle(settings),
        stop_seconds=5,
    )


def _server(settings: Settings, main: str, *options: str) -> list[str]:
    jvm = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return [
        *(java(), *jvm, "-cp", str(_home() / "jars" / "*")),
        f"org.apache.spark.deploy.{main}",
        *("--host", settings.inner_host),
        *("--properties-file", str(standalone_file(settings))),
        *options,
    ]


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "SPARK_HOME": str(_home()),
        # Executors are started as Spark's scripts would, which find this out.
        "SPARK_SCALA_VERSION": _scala(),
        "SPARK_LOCAL_IP": settings.inner_host,
    }


def _scala() -> str:
    """The release of Scala that Spark is built with, as its jars' names tell it."""
    (core,) = (_home() / "jars").glob("spark-core_*.jar")
    return core.name.removeprefix("spark-core_").partition("-")[0]


def _home() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


def _prepare(settings: Settings) -> None:
    secret = private.once(
        settings.home / "spark" / "secret.json", lambda: {"secret": secrets.token_hex(32)}
    )
    options = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret["secret"],
        "spark.deploy.recoveryMode": "FILESYSTEM",
        "spark.deploy.recoveryDirectory": str(settings.home / "spark" / "recovery"),
        # What ended applications leave behind is removed within the hour.
        "spark.worker.cleanup.enabled": "true",
        "spark.worker.cleanup.appDataTtl": "3600",
    }
    text = "".join(f"{name} {value}\n" for name, value in options.items())
    write_private(standalone_file(settings), text)


def _master_obstacle(settings: Settings) -> str | None:
    said = http_json(f"http://{settings.inner_host}:{settings.spark_port + MASTER_WEB}/json/")
    if not said:
        return "the Master does not answer yet"
    return None if said["status"] == "ALIVE" else f"the Master is {said['status'].lower()}"


def _worker_obstacle(settings: Settings) -> str | None:
    said = http_json(f"http://{settings.inner_host}:{settings.spark_port + WORKER_WEB}/json/")
    if not said:
        return "the Worker does not answer yet"
    return None if said["masterwebuiurl"] else "the Master has not taken it in yet"
