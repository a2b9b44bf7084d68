"""What Spark must know of the cluster that the embedded stack runs for it, if there is one."""

from pathlib import Path

from pipelines.errors import StackError
from pipelines.settings import Settings

MANAGER_PORTS = {"webapp.": 0, "scheduler.": 1, "resource-tracker.": 2, "": 3, "admin.": 4}
"""YARN's ResourceManager: each port, counted from its first."""


def cluster_options(settings: Settings) -> dict[str, str]:
    """Options of a session besides its master.

    Raises:
        StackError: the cluster was never started.
    """
    if settings.spark_master is not None or settings.spark == "local":
        return {}
    if settings.spark == "standalone":
        return _read(standalone_file(settings))
    import pyspark

    manager = resource_manager_options(settings)
    return {
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
            "setting (medloop stack up), or name a cluster elsewhere (MEDLOOP_SPARK_MASTER)."
        ) from None
    return dict(line.split(" ", 1) for line in lines if line)
