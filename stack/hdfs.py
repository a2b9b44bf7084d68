"""HDFS: one NameNode and a few DataNodes, real servers without an installation.

They run from `stack.jars`, configured on the command line. Everything is on one machine and one
disk, so blocks are not spread for safety unless there are several DataNodes, and a lost DataNode
is noticed in about 20 seconds instead of 10 minutes.
"""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from pipelines.errors import StackError
from pipelines.settings import Settings
from stack import jars
from stack.ask import jmx_bean
from stack.environment import inherited_environment, java_server
from stack.part import Part, Port, Process, Say

NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
PORTS_EACH = 10
"""How far apart the ports of two DataNodes are."""
DATANODE_OFFSETS = (0, 2, 3)
"""HTTP, data and IPC, counted from a DataNode's first port."""

HEARTBEAT_SECONDS = "1"
SMALL_CLUSTER = {
    "dfs.namenode.heartbeat.recheck-interval": "5000",
    # Until then, one that has been silent for 3 seconds is the last to be asked.
    "dfs.namenode.stale.datanode.interval": "3000",
    "dfs.namenode.avoid.read.stale.datanode": "true",
    "dfs.namenode.avoid.write.stale.datanode": "true",
    "dfs.namenode.safemode.extension": "0",
    "dfs.namenode.datanode.registration.ip-hostname-check": "false",
    # Without Kerberos a client claims any name: permissions would protect from nobody.
    "dfs.permissions.enabled": "false",
}
"""A NameNode's options: lost DataNodes are noticed within seconds."""


def part(settings: Settings) -> Part:
    """The NameNode and ``settings.datanodes`` DataNodes."""
    datanodes = [datanode(settings, number) for number in range(settings.datanodes)]
    return Part(
        name="hdfs",
        processes=[_namenode(settings), *datanodes],
        prepare=lambda say: _format(settings, say),
    )


def _namenode(settings: Settings) -> Process:
    return Process(
        name="namenode",
        command=_server(settings, NAMENODE, _namenode_options(settings)),
        environment=_environment(settings),
        ports=[
            Port(settings.namenode_port, "MEDLOOP_NAMENODE_PORT"),
            Port(settings.namenode_rpc_port, "MEDLOOP_NAMENODE_RPC_PORT"),
        ],
        version=jars.hadoop_release,
        url=f"http://{settings.inner_host}:{settings.namenode_port}/jmx",
        obstacle=lambda _: _namenode_obstacle(settings),
    )


def datanode(settings: Settings, number: int, *, namenode: str | None = None) -> Process:
    """One DataNode.

    Args:
        settings: the installation.
        number: which of its DataNodes; numbers begin at 0.
        namenode: the NameNode's host, if not this one.
    """
    http, data, ipc = datanode_ports(settings, number)
    namenode = namenode or settings.inner_host
    options = {
        **_common_options(settings, namenode),
        "dfs.datanode.data.dir": _folder(settings, f"datanode-{number}").as_uri(),
        "dfs.datanode.hostname": settings.inner_host,
        "dfs.datanode.http.address": f"{settings.inner_host}:{http}",
        "dfs.datanode.address": f"{settings.inner_host}:{data}",
        "dfs.datanode.ipc.address": f"{settings.inner_host}:{ipc}",
        # It writes for WebHDFS clients; in a cluster this small there is no other node to take.
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        # What it keeps of a connection is stale once the NameNode was restarted: try again,
        # 10 times after 0.2 seconds, then 10 times after 2.
        "dfs.client.retry.policy.enabled": "true",
        "dfs.client.retry.policy.spec": "200,10,2000,10",
    }
    return Process(
        name=f"datanode-{number}",
        command=_server(settings, DATANODE, options),
        environment=_environment(settings),
        ports=[Port(port, "MEDLOOP_DATANODE_BASE_PORT") for port in (http, data, ipc)],
        version=jars.hadoop_release,
        url=f"http://{settings.inner_host}:{http}/jmx",
        obstacle=lambda started: _datanode_obstacle(settings, namenode, data, started),
    )


def datanode_ports(settings: Settings, number: int) -> tuple[int, int, int]:
    """HTTP, data and IPC port of a DataNode (numbers begin at 0)."""
    first = settings.datanode_base_port + PORTS_EACH * number
    http, data, ipc = (first + offset for offset in DATANODE_OFFSETS)
    return http, data, ipc


def _common_options(settings: Settings, namenode: str) -> dict[str, str]:
    return {
        "fs.defaultFS": f"hdfs://{namenode}:{settings.namenode_rpc_port}",
        "dfs.replication": str(min(settings.datanodes, 3)),
        "dfs.heartbeat.interval": HEARTBEAT_SECONDS,
    }


def _namenode_options(settings: Settings) -> dict[str, str]:
    return {
        **_common_options(settings, settings.inner_host),
        "dfs.namenode.name.dir": _folder(settings, "namenode").as_uri(),
        "dfs.namenode.http-address": f"{settings.inner_host}:{settings.namenode_port}",
        **SMALL_CLUSTER,
    }


def _server(settings: Settings, main: str, options: dict[str, str]) -> list[str]:
    return java_server(main, jars.classpath(settings, jars.HDFS), options)


def _environment(settings: Settings) -> dict[str, str]:
    return {"HADOOP_USER_NAME": settings.hdfs_user}


def _folder(settings: Settings, name: str) -> Path:
    return settings.home / "hdfs" / name


def _format(settings: Settings, say: Say) -> None:
    jars.fetch(settings, jars.HDFS, say)
    folder = _folder(settings, "namenode")
    if (folder / "current" / "VERSION").is_file():
        return
    say("formatting the NameNode's folder")
    # Formatted beside and renamed, so that a folder that exists is whole.
    fresh = folder.with_name("namenode.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    options = {**_namenode_options(settings), "dfs.namenode.name.dir": fresh.as_uri()}
    ended = subprocess.run(
        [*_server(settings, NAMENODE, options), "-format", "-nonInteractive"],
        env=inherited_environment() | _environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = "\n".join((ended.stdout + ended.stderr).splitlines()[-8:])
        raise StackError(f"Could not format the NameNode's folder {folder}:\n{said}")
    fresh.rename(folder)


def _namenode_obstacle(settings: Settings) -> str | None:
    info = _namenode_info(settings, settings.inner_host)
    if info is None:
        return "the NameNode does not answer yet"
    if info["Safemode"]:
        return "the NameNode is in safe mode until the DataNodes have reported their blocks"
    return None


def _datanode_obstacle(
    settings: Settings, namenode: str, data_port: int, started: int
) -> str | None:
    info = _namenode_info(settings, namenode)
    if info is None:
        return "the NameNode does not answer yet"
    up_seconds = time.time() - started
    for node in json.loads(info["LiveNodes"]).values():
        # What was heard before it started was said by the process before it.
        if node["xferaddr"].endswith(f":{data_port}") and node["lastContact"] + 1 < up_seconds:
            return None
    return "the NameNode has not heard of it yet"


def _namenode_info(settings: Settings, namenode: str) -> dict[str, Any] | None:
    return jmx_bean(f"http://{namenode}:{settings.namenode_port}", "NameNode,name=NameNodeInfo")
