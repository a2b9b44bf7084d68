"""What Spark must know of the cluster it works on: the embedded stack's, or one elsewhere."""

import os
from pathlib import Path

from pipelines.errors import StackError
from pipelines.settings import Settings

MANAGER_PORTS = {"webapp.": 0, "scheduler.": 1, "resource-tracker.": 2, "": 3, "admin.": 4}
"""YARN's ResourceManager: each port, counted from its first."""


PYTHON_WORKER_MB = 512
"""Memory that one Python worker takes (measured: 350 MB where it scores; docs/scoring.md)."""
OVERHEAD_MB = 384
"""What Java itself takes of an executor's memory besides its heap, at least."""


def cluster_options(settings: Settings) -> dict[str, str]:
    """Options of a session besides its master.

    Raises:
        StackError: the embedded cluster was never started.
    """
    if settings.spark_is_local:
        return {}
    if settings.embedded_spark == "standalone":
        return _executors(settings) | _read(standalone_file(settings))
    if settings.spark_url == "yarn":
        return _on_yarn(settings)
    return _executors(settings)


def cluster_environment(settings: Settings) -> dict[str, str]:
    """Variables by which Spark finds a cluster and the executors' Python; no property does."""
    given = {}
    if settings.spark_python and not settings.spark_is_local:
        given["PYSPARK_PYTHON"] = settings.spark_python
    if settings.spark_url == "yarn":
        # Spark does not start on YARN without it, though the embedded one needs nothing from there.
        folder = settings.spark_hadoop_conf or settings.home / "yarn" / "conf"
        given["HADOOP_CONF_DIR"] = str(folder)
    return given


def _executors(settings: Settings) -> dict[str, str]:
    """How many executors there are on a standalone cluster, and how large they are."""
    options = {"spark.executor.memory": settings.spark_executor_memory}
    if settings.spark_executor_cores:
        options["spark.executor.cores"] = str(settings.spark_executor_cores)
        if settings.spark_executors:
            # A standalone cluster counts cores, not executors.
            cores = settings.spark_executors * settings.spark_executor_cores
            options["spark.cores.max"] = str(cores)
    return options


def _on_yarn(settings: Settings) -> dict[str, str]:
    embedded = settings.embedded_spark is not None
    cores = settings.spark_executor_cores or (os.cpu_count() or 1 if embedded else 1)
    options = {
        "spark.executor.memory": settings.spark_executor_memory,
        "spark.executor.cores": str(cores),
        # YARN ends a container whose Python workers take more than they asked for.
        "spark.executor.memoryOverhead": f"{OVERHEAD_MB + cores * PYTHON_WORKER_MB}m",
    }
    if settings.spark_executors or embedded:
        options["spark.executor.instances"] = str(settings.spark_executors or 1)
    if not embedded:
        return options
    import pyspark

    manager = resource_manager_options(settings)
    return {
        **options,
        **{f"spark.hadoop.{name}": value for name, value in manager.items()},
        # They are on this machine already: nothing is sent to HDFS for every session.
        "spark.yarn.jars": f"local:{Path(pyspark.__file__).parent}/jars/*",
    }


def standalone_file(settings: Settings) -> Path:
    """The properties of the standalone cluster; private, as the secret to use it is among them."""
    return settings.home / "spark" / "cluster.conf"


def resource_manager_options(settings: Settings) -> dict[str, str]:
    """What a client must know to reach YARN's ResourceManager."""
    first = settings.resource_manager_port
    addresses = {
        f"yarn.resourcemanager.{name}address": f"{settings.inner_host}:{first + offset}"
        for name, offset in MANAGER_PORTS.items()
    }
    return {
        "fs.defaultFS": f"hdfs://{settings.inner_host}:{settings.namenode_rpc_port}",
        "yarn.resourcemanager.hostname": settings.inner_host,
        **addresses,
    }


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise StackError(
            f"MEDLOOP_SPARK=standalone, but there is no {file}: bring the stack up with the same "
            "setting (medloop stack up), or name a cluster elsewhere (MEDLOOP_SPARK=spark://HOST:PORT)."
        ) from None
    return dict(line.split(" ", 1) for line in lines if line)
