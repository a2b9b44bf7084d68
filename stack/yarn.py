"""YARN: a ResourceManager and one NodeManager, for Spark with ``--master yarn``."""

import os
from pathlib import Path

from pipelines.settings import Settings
from pipelines.spark.cluster import MANAGER_PORTS, resource_manager_options
from stack import jars
from stack.ask import jmx_bean
from stack.environment import java_server
from stack.part import Part, Port, Process

RESOURCE_MANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
NODE_MANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
SETTING = "MEDLOOP_RESOURCE_MANAGER_PORT"
MEMORY_MB = 4096
"""What all containers together may take."""

# Each port, counted from the ResourceManager's first.
NODE_PORTS = {"webapp.": 5, "": 6, "localizer.": 7}


def part(settings: Settings) -> Part:
    """The ResourceManager and the NodeManager."""
    return Part(
        name="yarn",
        needs=["hdfs"],
        processes=[_resource_manager(settings), _node_manager(settings)],
        prepare=lambda say: jars.fetch(settings, jars.YARN, say),
    )


def _resource_manager(settings: Settings) -> Process:
    options = {
        **resource_manager_options(settings),
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": "100",
        # One application may fill the machine, its driver included.
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1",
        "yarn.scheduler.minimum-allocation-mb": "256",
        "yarn.scheduler.maximum-allocation-mb": str(MEMORY_MB),
    }
    return Process(
        name="resourcemanager",
        command=_server(settings, RESOURCE_MANAGER, options),
        ports=_ports(settings, MANAGER_PORTS),
        version=jars.hadoop_release,
        url=f"{_manager(settings)}/jmx",
        obstacle=lambda _: _manager_obstacle(settings),
        stop_seconds=5,
    )


def _node_manager(settings: Settings) -> Process:
    options = {
        **resource_manager_options(settings),
        "yarn.nodemanager.hostname": settings.inner_host,
        "yarn.nodemanager.bind-host": settings.inner_host,
        **_addresses(settings, "yarn.nodemanager.", NODE_PORTS),
        "yarn.nodemanager.local-dirs": str(_folder(settings) / "local"),
        "yarn.nodemanager.log-dirs": str(settings.home / "logs" / "yarn"),
        "yarn.nodemanager.resource.memory-mb": str(MEMORY_MB),
        "yarn.nodemanager.resource.cpu-vcores": str(os.cpu_count() or 1),
        "yarn.nodemanager.vmem-check-enabled": "false",
        # It shares its disk with everything else; how full that is says nothing of its health.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
    }
    web = settings.resource_manager_port + NODE_PORTS["webapp."]
    return Process(
        name="nodemanager",
        command=_server(settings, NODE_MANAGER, options),
        ports=_ports(settings, NODE_PORTS),
        version=jars.hadoop_release,
        url=f"http://{settings.inner_host}:{web}/jmx",
        obstacle=lambda _: _node_obstacle(settings),
        stop_seconds=5,
    )


def _server(settings: Settings, main: str, options: dict[str, str]) -> list[str]:
    return java_server(main, jars.classpath(settings, jars.YARN), options)


def _addresses(settings: Settings, prefix: str, ports: dict[str, int]) -> dict[str, str]:
    first = settings.resource_manager_port
    return {
        f"{prefix}{name}address": f"{settings.inner_host}:{first + offset}"
        for name, offset in ports.items()
    }


def _ports(settings: Settings, ports: dict[str, int]) -> list[Port]:
    return [Port(settings.resource_manager_port + offset, SETTING) for offset in ports.values()]


def _folder(settings: Settings) -> Path:
    return settings.home / "yarn"


def _manager(settings: Settings) -> str:
    return f"http://{settings.inner_host}:{settings.resource_manager_port}"


def _manager_obstacle(settings: Settings) -> str | None:
    return None if _metrics(settings) else "the ResourceManager does not answer yet"


def _node_obstacle(settings: Settings) -> str | None:
    metrics = _metrics(settings)
    if metrics is None:
        return "the ResourceManager does not answer yet"
    return None if metrics["NumActiveNMs"] else "the ResourceManager has not heard of it yet"


def _metrics(settings: Settings) -> dict[str, int] | None:
    return jmx_bean(_manager(settings), "ResourceManager,name=ClusterMetrics")
