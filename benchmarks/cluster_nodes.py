"""Nodes of a cluster as containers of podman, each with a network address and host name of its own.

Each is an overlay of this machine's root, so no image is needed. Only the coordinator sees the
checkout: on the workers its place is empty, and the Python environment is at another path.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.errors import StackError
from pipelines.settings import PROJECT, get_settings
from stack import hdfs, jars, yarn
from stack.environment import java_server

COORDINATOR = "coordinator"
WORKERS = ("w1", "w2", "w3")
NETWORK = "medloop-proof"
ENVIRONMENT = Path("/opt/medloop")
"""The Python environment on the workers."""
JARS = Path("/opt/medloop-jars")
PYSPARK = ENVIRONMENT / "lib/python3.11/site-packages/pyspark"
HDFS = f"hdfs://{COORDINATOR}:8020"
DISK_MEGABYTES = 512
"""Of each DataNode's disk."""
NODE_MEGABYTES = "5120"
"""Of YARN: one node alone has room for the application master and both executors."""
BLOCK_MEGABYTES = 16
"""HDFS expects room for several blocks before it writes one; disks are small here."""
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=4096:4096","nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""
PROPERTIES = {
    "fs.defaultFS": HDFS,
    "dfs.replication": "2",
    "dfs.blocksize": str(BLOCK_MEGABYTES * 2**20),
    # By default a DataNode wants 1 GB free besides the block it writes.
    "dfs.datanode.round-robin-volume-choosing-policy.additional-available-space": "0",
    "dfs.heartbeat.interval": hdfs.HEARTBEAT_SECONDS,
    **hdfs.SMALL_CLUSTER,
    "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
    "yarn.resourcemanager.hostname": COORDINATOR,
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "1",
    "yarn.scheduler.minimum-allocation-mb": "256",
    # Ten minutes by default: a job whose application master was on a lost node waits as long.
    "yarn.nm.liveness-monitor.expiry-interval-ms": "10000",
    "yarn.am.liveness-monitor.expiry-interval-ms": "10000",
}
"""Of HDFS and YARN: a small cluster that notices lost nodes within seconds."""


class Nodes:
    """The coordinator (NameNode, ResourceManager, Spark Master) and the workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        configuration = folder / "containers.conf"
        configuration.write_text(CONFIGURATION, "utf-8")
        self._environment = os.environ | {"CONTAINERS_CONF": str(configuration)}

    def podman(self, *words: str, check: bool = True) -> str:
        """Run podman; its output."""
        done = subprocess.run(
            ["podman", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise StackError(f"podman {' '.join(words[:3])} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def start(self, name: str) -> None:
        """Create a node that does nothing yet."""
        environment = Path(sys.prefix)
        hidden = () if name == COORDINATOR else ("--tmpfs", f"{PROJECT}:notmpcopyup")
        self.podman(
            *("run", "-d", "--name", _container(name), "--hostname", name),
            *("--network", f"{NETWORK}:alias={name}"),
            *hidden,
            *("-v", f"{environment}:{ENVIRONMENT}:ro"),
            *("-v", f"{get_settings().jars}:{JARS}:ro"),
            *("-v", f"{self._folder}:{self._folder}"),
            *(() if name == COORDINATOR else ("-v", f"{self._disk(name)}:/var/medloop-hdfs")),
            *("--rootfs", "/:O", "sleep", "infinity"),
        )

    def server(self, node: str, name: str, command: list[str]) -> None:
        """Start a server on a node; its process ID is in ``/run/NAME.pid``."""
        log = self._folder / "logs" / f"{node}-{name}.log"
        self.podman(
            *("exec", "-d", "-e", f"SPARK_HOME={PYSPARK}", "-e", "SPARK_SCALA_VERSION=2.13"),
            *("-e", "HADOOP_USER_NAME=medloop", _container(node), "bash", "-c"),
            f'echo $$ > /run/{name}.pid; exec "$@" >> {log} 2>&1',
            "bash",
            *command,
        )

    def kill(self, node: str, name: str) -> None:
        """End a server with SIGKILL."""
        pid = f"/run/{name}.pid"
        self.podman(
            "exec",
            _container(node),
            "bash",
            "-c",
            f"kill -9 $(cat {pid}); rm {pid}",
        )

    def runs_python_worker(self, node: str) -> bool:
        """Whether an executor on a node has started Python, and so works on a task."""
        return "pyspark.daemon" in self.podman("top", _container(node), "args", check=False)

    @contextmanager
    def cut(self, one: str, other: str) -> Iterator[None]:
        """Drop every packet between two nodes."""
        address = self.podman("exec", _container(other), "hostname", "-i")
        process = self.podman("inspect", "-f", "{{.State.Pid}}", _container(one))
        rules = [("INPUT", "-s", address), ("OUTPUT", "-d", address)]
        try:
            for rule in rules:
                self._iptables(process, "-A", *rule)
            yield
        finally:
            for rule in rules:
                self._iptables(process, "-D", *rule)

    @staticmethod
    def _iptables(process: str, *words: str) -> None:
        inside = ["nsenter", "-t", process, "-n", "iptables"]
        subprocess.run([*inside, *words, "-j", "DROP"], check=True)

    def namenode(self) -> None:
        """Start the NameNode."""
        self.server(COORDINATOR, "namenode", _hadoop(hdfs.NAMENODE, _namenode(), jars.HDFS))

    def safe_mode(self, state: str) -> None:
        """``enter`` or ``leave`` HDFS's safe mode, in which nothing can be written."""
        admin = _hadoop("org.apache.hadoop.hdfs.tools.DFSAdmin", {}, jars.HDFS)
        self.podman(
            *("exec", "-e", "HADOOP_USER_NAME=medloop", _container(COORDINATOR)),
            *(*admin, "-safemode", state),
        )

    def corrupt(self, node: str) -> int:
        """Overwrite the middle of each block that a node holds; how many there are."""
        said = self.podman(
            *("exec", _container(node), "bash", "-c"),
            "find /var/medloop-hdfs -name 'blk_*' ! -name '*.meta' -size +2k | while read f; do "
            "printf MEDLOOP | dd of=$f bs=1 seek=1000 conv=notrunc status=none; echo $f; done",
        )
        return len(said.splitlines())

    def datanode(self, node: str) -> None:
        """Start a DataNode."""
        options = {
            "dfs.datanode.data.dir": "file:///var/medloop-hdfs",
            "dfs.datanode.hostname": node,
        }
        self.server(node, "datanode", _hadoop(hdfs.DATANODE, options, jars.HDFS))

    def mlflow(self, case: str) -> None:
        """Start an MLflow server without any run, in the place of an earlier one."""
        known = self.podman("exec", _container(COORDINATOR), "ls", "/run")
        if "mlflow.pid" in known:
            self.kill(COORDINATOR, "mlflow")
        folder = f"/var/medloop-mlflow/{case}"
        self.podman("exec", _container(COORDINATOR), "mkdir", "-p", folder)
        self.server(
            COORDINATOR,
            "mlflow",
            [
                *("env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"),
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--host", COORDINATOR, "--port", "5000", "--allowed-hosts", "*"),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
                *("--artifacts-destination", f"{folder}/artifacts"),
            ],
        )
        self._await("MLflow", lambda: self._answers(f"http://{COORDINATOR}:5000/health", "OK"))

    def spark_worker(self, node: str) -> None:
        """Start a Worker of the standalone cluster."""
        self.server(
            node,
            "spark-worker",
            [
                *_spark("worker.Worker", node),
                *("--cores", "1", "--memory", "1g"),
                *("--work-dir", "/var/medloop-spark", f"spark://{COORDINATOR}:7077"),
            ],
        )

    def resource_manager(self) -> None:
        """Start YARN's ResourceManager."""
        command = _hadoop(yarn.RESOURCE_MANAGER, {}, jars.YARN)
        self.server(COORDINATOR, "resourcemanager", command)

    def node_manager(self, node: str) -> None:
        """Start a NodeManager."""
        options = {
            "yarn.nodemanager.hostname": node,
            "yarn.nodemanager.local-dirs": "/var/medloop-yarn/local",
            "yarn.nodemanager.log-dirs": "/var/medloop-yarn/logs",
            "yarn.nodemanager.resource.memory-mb": NODE_MEGABYTES,
            "yarn.nodemanager.resource.cpu-vcores": "1",
            "yarn.nodemanager.vmem-check-enabled": "false",
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
        }
        self.server(node, "nodemanager", _hadoop(yarn.NODE_MANAGER, options, jars.YARN))

    def up(self) -> None:
        """Start all nodes and their servers, but for YARN's."""
        for command in ("podman", "runc", "nsenter", "iptables"):
            if shutil.which(command) is None:
                raise StackError(f"There is no {command}; apt-get install podman runc iptables.")
        jars.fetch(get_settings(), jars.YARN, print)
        self.down()  # of an earlier proof that was killed
        (self._folder / "logs").mkdir()
        for name in WORKERS:
            self._disk(name).mkdir(parents=True)
            _mount("-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(self._disk(name)))
        self.podman("network", "create", NETWORK)
        for name in (COORDINATOR, *WORKERS):
            self.start(name)
        self.podman(
            *("exec", "-e", "HADOOP_USER_NAME=medloop", _container(COORDINATOR)),
            *_hadoop(hdfs.NAMENODE, _namenode(), jars.HDFS),
            *("-format", "-nonInteractive"),
        )
        self.namenode()
        self.server(
            COORDINATOR, "spark-master", [*_spark("master.Master", COORDINATOR), "--port", "7077"]
        )
        for node in WORKERS:
            self.datanode(node)
        for node in WORKERS[:2]:
            self.spark_worker(node)

    def down(self) -> None:
        """Remove all nodes, and nothing else."""
        for name in (COORDINATOR, *WORKERS):
            self.podman("rm", "-f", "-t", "0", _container(name), check=False)
        self.podman("network", "rm", NETWORK, check=False)
        for name in WORKERS:
            if self._disk(name).is_mount():
                subprocess.run(["umount", str(self._disk(name))], check=True)

    def _disk(self, node: str) -> Path:
        """The disk of a DataNode, as this machine sees it: small, so that it can be filled."""
        return self._folder / "disks" / node

    @contextmanager
    def full_disks(self) -> Iterator[None]:
        """Leave no byte free on the disk of any DataNode."""
        fillings = [self._disk(name) / "filling" for name in WORKERS]
        try:
            for filling in fillings:
                _fill(filling)
            yield
        finally:
            for filling in fillings:
                filling.unlink(missing_ok=True)

    def run(self, variables: dict[str, str], name: str, command: str) -> None:
        """Start a command of ours on the coordinator, in the checkout."""
        words = [word for pair in variables.items() for word in ("-e", "=".join(pair))]
        # What an earlier one has left must not be taken for this one's.
        self.podman("exec", _container(COORDINATOR), "rm", "-f", f"/run/{name}.pid")
        self.podman(
            *("exec", "-d", "-w", str(PROJECT), *words, _container(COORDINATOR), "bash", "-c"),
            f"echo $$ > /run/{name}.pid; exec {command}",
        )

    def runs(self, name: str) -> bool:
        """Whether a command on the coordinator is running, or about to."""
        pid = f"/run/{name}.pid"
        alive = f"test ! -e {pid} || kill -0 $(cat {pid}) && echo alive"
        said = self.podman("exec", _container(COORDINATOR), "bash", "-c", alive, check=False)
        return "alive" in said

    def kill_node(self, node: str) -> None:
        """End everything on a node at once."""
        self.podman("kill", _container(node))

    def revive(self, node: str) -> None:
        """Start a node that was killed, with its files, and its DataNode."""
        self.podman("start", _container(node))
        self.datanode(node)

    def await_datanodes(self, number: int) -> None:
        """Wait until the NameNode is out of safe mode and has so many live DataNodes."""
        bean = f"http://{COORDINATOR}:9870/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
        expected = (f'"NumLiveDataNodes" : {number}', '"FSState" : "Operational"')
        self._await(f"{number} DataNodes", lambda: self._answers(bean, *expected))

    def _answers(self, url: str, *parts: str) -> bool:
        said = self.podman(
            *("exec", _container(COORDINATOR), "curl", "-s", "-m", "5", url), check=False
        )
        return all(part in said for part in parts)

    @staticmethod
    def _await(what: str, condition: Callable[[], bool]) -> None:
        for _ in range(120):
            if condition():
                return
            time.sleep(1)
        raise StackError(f"{what} did not come up within two minutes.")


def _fill(file: Path) -> None:
    """Write zeros until the disk is full."""
    with file.open("wb", buffering=0) as filling:
        for size in (2**20, 2**12):  # other writers take and give back space meanwhile
            with suppress(OSError):
                while True:
                    filling.write(bytes(size))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _container(node: str) -> str:
    """The name of a node's container: nobody else's has it."""
    return f"{NETWORK}-{node}"


def _namenode() -> dict[str, str]:
    return {
        "dfs.namenode.name.dir": "file:///var/medloop-hdfs",
        "dfs.namenode.http-address": f"{COORDINATOR}:9870",
    }


def _hadoop(main: str, options: dict[str, str], fetched: tuple[jars.Jar, ...]) -> list[str]:
    shipped = [path.name for pattern in jars.SHIPPED for path in _own_jars().glob(f"{pattern}.jar")]
    classpath = [*(JARS / jar.file for jar in fetched), *(PYSPARK / "jars" / n for n in shipped)]
    return java_server(main, ":".join(map(str, classpath)), PROPERTIES | options)


def _own_jars() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent / "jars"


def _spark(main: str, node: str) -> list[str]:
    jvm = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return [*jvm, "-cp", f"{PYSPARK}/jars/*", f"org.apache.spark.deploy.{main}", "--host", node]
