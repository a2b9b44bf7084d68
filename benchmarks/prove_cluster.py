"""Proof that a real cluster makes what one machine makes, and loses nothing when nodes fail.

    python -m benchmarks.prove_cluster [--images 160] [--only CASE …]

Starts four nodes as containers (`benchmarks.cluster_nodes`; needs root, podman, runc and
iptables): a coordinator and three workers, each with a DataNode, two with a Spark Worker and, for
the cases on YARN, a NodeManager; HDFS keeps two copies. Each case takes in phantoms and prepares
them in a store of its own, from the coordinator, and something fails meanwhile. Afterwards
everything must be there once, and equal, byte for byte, to a run on one machine. The cases
``retraining`` and ``retraining-yarn`` also train, select and judge: their models are equal to the
last bit, too. Exits 1 if not.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.claims import Claim, show
from benchmarks.cluster_nodes import (
    COORDINATOR,
    ENVIRONMENT,
    HDFS,
    PROPERTIES,
    WORKERS,
    Nodes,
)
from pipelines.errors import StackError
from pipelines.phantom import generate
from pipelines.settings import PROJECT

W1, W2, _ = WORKERS
CUT_SECONDS = 60
SAFE_SECONDS = 20
TRIES = 3
PAUSE_SECONDS = 10
"""Before a step that failed is run again; Airflow waits for longer."""
CASE_SECONDS = 420
MLFLOW = f"http://{COORDINATOR}:5000"
STANDALONE = {"MEDLOOP_SPARK": f"spark://{COORDINATOR}:7077"}


class Run:
    """A driver on the coordinator, with a home and a store of its own."""

    def __init__(
        self,
        nodes: Nodes,
        folder: Path,
        case: str,
        spark: dict[str, str],
        *,
        retrains: bool = False,
        spread: bool = False,
    ) -> None:
        self._nodes = nodes
        self._name = f"driver-{case}"
        self.output = folder / "logs" / f"driver-{case}.log"
        store = f"{HDFS}/{case}" if spark else f"file:///var/medloop/{case}-store"
        self._variables = {
            "MEDLOOP_ENV_FILE": "none",
            "MEDLOOP_HOME": f"/var/medloop/{case}",
            "MEDLOOP_STORE": store,
            "MEDLOOP_DATASETS": str(folder / "datasets"),
            "MEDLOOP_MLFLOW_URI": MLFLOW,
            "MEDLOOP_WEBHDFS_URL": f"http://{COORDINATOR}:9870",
            "MEDLOOP_DATANODES": "2",
            "MEDLOOP_SPARK": "local[2,4]",
            "MEDLOOP_SPARK_DRIVER_MEMORY": "512m",
            "MEDLOOP_SPARK_EXECUTOR_MEMORY": "512m",
            "MEDLOOP_SPARK_PYTHON": str(ENVIRONMENT / "bin" / "python"),
            "MEDLOOP_SPARK_DRIVER_HOST": COORDINATOR,
            **spark,
        }
        flags = {"--retrain": retrains, "--spread": spread}
        self._arguments = " ".join([str(folder / "landing"), *(f for f in flags if flags[f])])
        if retrains:
            nodes.mlflow(case)
        self.tries = 0
        self.killed: str | None = None
        """A node that a case has killed."""

    def start(self) -> None:
        """Start the driver."""
        self.tries += 1
        command = f"{sys.executable} -m benchmarks.cluster_job {self._arguments}"
        self._nodes.run(self._variables, self._name, f"{command} >> {self.output} 2>&1")

    def kill(self) -> None:
        """End the driver with SIGKILL."""
        self._nodes.kill(COORDINATOR, self._name)

    def await_step(self, step: str) -> None:
        """Wait until a step begins."""
        self._await(f"the step {step}", lambda: f"STEP {step}" in self._said())

    def await_tasks(self, *nodes: str) -> str:
        """Wait until one of several nodes works on a task; which one."""

        def working() -> list[str]:
            return [*filter(self._nodes.runs_python_worker, nodes)]

        self._await(f"a task on {' or '.join(nodes)}", lambda: bool(working()))
        return working()[0]

    def result(self) -> dict[str, Any]:
        """What the driver found in the store at its end."""
        self._await("its end", lambda: "RESULT" in self._said() or not self._nodes.runs(self._name))
        lines = [line for line in self._said().splitlines() if line.startswith("RESULT")]
        if not lines and self.tries < TRIES:
            # As Airflow would, only sooner.
            time.sleep(PAUSE_SECONDS)
            self.start()
            return self.result()
        if not lines:
            raise StackError(f"the driver failed:\n{self._said()[-1500:]}")
        found: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT"))
        return found

    def await_failure(self) -> None:
        """Wait until the driver has ended."""
        self._await("its failure", lambda: not self._nodes.runs(self._name))

    def _said(self) -> str:
        return self.output.read_text("utf-8", "replace") if self.output.is_file() else ""

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + CASE_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise StackError(f"waited in vain for {what}:\n{self._said()[-1500:]}")
            time.sleep(0.2)


def _worker_killed(nodes: Nodes, run: Run, *, step: str = "prepare") -> str:
    run.await_step(step)
    # YARN may have placed both executors on one node.
    node = run.await_tasks(W1, W2)
    nodes.kill_node(node)
    run.killed = node
    return f"{node} killed (SIGKILL to the whole node) while its executor had a task of {step}"


def _datanode_killed(nodes: Nodes, run: Run) -> str:
    run.await_step("ingest")
    nodes.kill(W2, "datanode")
    return "DataNode of w2 killed as ingest began"


def _namenode_restarted(nodes: Nodes, run: Run) -> str:
    run.await_step("ingest")
    nodes.kill(COORDINATOR, "namenode")
    time.sleep(3)
    nodes.namenode()
    return "NameNode killed as ingest began, started again 3 s later"


def _driver_killed(_: Nodes, run: Run) -> str:
    run.await_step("prepare")
    run.await_tasks(W2)
    run.kill()
    run.start()
    return "driver killed while executors worked, then run again"


def _network_cut(nodes: Nodes, run: Run) -> str:
    run.await_step("prepare")
    run.await_tasks(W1)
    with nodes.cut(W1, COORDINATOR):
        time.sleep(CUT_SECONDS)
    return f"no packet between w1 and the coordinator for {CUT_SECONDS} s, from its first task on"


def _safe_mode(nodes: Nodes, run: Run) -> str:
    run.await_step("ingest")
    nodes.safe_mode("enter")
    time.sleep(SAFE_SECONDS)
    nodes.safe_mode("leave")
    return f"HDFS in safe mode for {SAFE_SECONDS} s as ingest began"


def _block_corrupt(nodes: Nodes, run: Run) -> str:
    run.await_step("prepare")
    return f"{nodes.corrupt(W1)} blocks of w1 altered on its disk before prepare read them"


def _disk_full(nodes: Nodes, run: Run) -> str:
    run.await_step("ingest")
    with nodes.full_disks():
        run.await_failure()
    return "the disks of all DataNodes filled up as ingest began, until the step failed"


def _nothing(_: Nodes, run: Run) -> str:
    run.await_step("prepare")
    return "nothing fails"


def _repair(nodes: Nodes, run: Run, case: str) -> None:
    """Bring back what a case has ended."""
    if run.killed:
        nodes.revive(run.killed)
        if "yarn" in case:
            nodes.node_manager(run.killed)
        else:
            nodes.spark_worker(run.killed)
    if case == "datanode-killed":
        nodes.datanode(W2)


CASES: dict[str, Callable[[Nodes, Run], str]] = {
    "standalone": _nothing,
    "worker-killed": _worker_killed,
    "landing": _nothing,
    "landing-worker-killed": partial(_worker_killed, step="landing"),
    "datanode-killed": _datanode_killed,
    "namenode-restarted": _namenode_restarted,
    "driver-killed": _driver_killed,
    "network-cut": _network_cut,
    "safe-mode": _safe_mode,
    "block-corrupt": _block_corrupt,
    "disk-full": _disk_full,
    "retraining": _nothing,
    "yarn": _nothing,
    "yarn-worker-killed": _worker_killed,
    "retraining-yarn": _nothing,
}
SHORTER = {
    "epochs: 40": "epochs: 5",
    "epochs: 12": "epochs: 2",
    "logistic: {features: pixels}\n    optional: true": "logistic: {features: pixels}",
}
RETRAININGS = ("retraining", "retraining-yarn")
SPREAD = ("landing", "landing-worker-killed")
"""The folder is in HDFS, and executors land it; otherwise processes of the driver do."""


def main() -> None:
    """Run the cases; print a table; exit 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    # A proof that is ended from outside removes its containers and disks all the same.
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="prove-cluster-") as name:
        folder = Path(name)
        generate(folder / "landing", seed=1, images=options.images)
        _write_spec(folder / "datasets")
        shutil.rmtree(folder / "landing" / "masks", ignore_errors=True)
        nodes = Nodes(folder)
        try:
            nodes.up()
            claims = _prove(nodes, folder, options.only)
        finally:
            nodes.down()
    sys.exit(show(claims, title="A cluster, and what may happen to it"))


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that a second one does not stop the removal
    sys.exit(1)


def _prove(nodes: Nodes, folder: Path, cases: list[str]) -> list[Claim]:
    retrains = not set(RETRAININGS).isdisjoint(cases)
    local = Run(nodes, folder, "local", {}, retrains=retrains)
    local.start()
    expected = local.result()
    claims = []
    spark = STANDALONE
    for case in cases:
        if "yarn" in case and spark is STANDALONE:
            spark = _yarn(nodes, folder)
        run = Run(nodes, folder, case, spark, retrains=case in RETRAININGS, spread=case in SPREAD)
        try:
            nodes.await_datanodes(len(WORKERS))
            began = time.monotonic()
            run.start()
            happened = CASES[case](nodes, run)
            found = _difference(expected, run.result())
            spent = time.monotonic() - began
            happened = f"{happened}; {spent:.0f} s, tries: {run.tries}"
        except (StackError, subprocess.SubprocessError) as error:
            happened, found = "see right", str(error)
        claims.append(Claim(f"{case}: {happened}", "as on one machine", found, found == "the same"))
        print(claims[-1], flush=True)
        _repair(nodes, run, case)
    return claims


def _write_spec(folder: Path) -> None:
    """The phantoms' spec with shorter trainings, and with one that Spark's executors compute."""
    spec = (PROJECT / "datasets" / "phantom.yaml").read_text("utf-8")
    for was, becomes in SHORTER.items():
        assert was in spec, was
        spec = spec.replace(was, becomes)
    folder.mkdir()
    (folder / "phantom.yaml").write_text(spec, "utf-8")


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    for name, value in found.items():
        if expected[name] != value:
            return f"{name} differs: {value}, expected {expected[name]}"[:400]
    if found["originals"] != found["packed"]:
        return "images are lost or stored twice"
    return "the same"


def _yarn(nodes: Nodes, folder: Path) -> dict[str, str]:
    """Start YARN instead of the Spark Workers; the settings that reach it."""
    for node in (W1, W2):
        nodes.kill(node, "spark-worker")
    nodes.resource_manager()
    for node in (W1, W2):
        nodes.node_manager(node)
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>"
        for name, value in PROPERTIES.items()
    )
    conf = folder / "hadoop"
    conf.mkdir()
    for name in ("core-site.xml", "hdfs-site.xml", "yarn-site.xml"):
        (conf / name).write_text(f"<configuration>{properties}</configuration>", "utf-8")
    further = folder / "spark.conf"
    jars = ENVIRONMENT / "lib/python3.11/site-packages/pyspark/jars"
    further.write_text(f"spark.yarn.jars local:{jars}/*\n", "utf-8")
    return {
        "MEDLOOP_SPARK": "yarn",
        "MEDLOOP_SPARK_HADOOP_CONF": str(conf),
        "MEDLOOP_SPARK_CONF": str(further),
        "MEDLOOP_SPARK_EXECUTORS": "2",
        "MEDLOOP_SPARK_EXECUTOR_CORES": "1",
    }


if __name__ == "__main__":
    main()
