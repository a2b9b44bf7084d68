"""This machine in the place of a container network: the same commands, other addresses."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipelines import database
from pipelines.settings import Settings
from stack.environment import inherited_environment
from stack.ports import find_free
from stack.tracking_server import read_env
from tests.containers.compose import ROOT, SECRETS, SERVICES, dockerfile

READY_SECONDS = 240
OWN_PORTS = {
    "mlflow": (5000,),
    "airflow-api-server": (8080,),
    "airflow-scheduler": (8974,),
    "spark-master": (7077,),
    "spark-worker": (8081,),
    "service": (3000,),
}
SPARK = {
    "SPARK_LOCAL_IP": "127.0.0.1",
    # Compile less: these processes run for a minute.
    "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}
BESIDE = {
    "airflow-scheduler": {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": "8974"},
    "spark-worker": {"SPARK_WORKER_WEBUI_PORT": "8081", **SPARK},
    "spark-master": {"SPARK_MASTER_WEBUI_PORT": "0", **SPARK},
    "service": {"MEDLOOP_SERVICE_AUTH": "on"},
}
"""What containers need not be told, as no two of them share an address."""


@dataclass
class Machine:
    """Runs services of docker-compose.yml here, beside a native PostgreSQL.

    Args:
        settings: the installation that has it. No service needs HDFS to become healthy.
    """

    settings: Settings
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    well: set[str] = field(default_factory=set)
    """Those that were found well; their checks cost seconds, and are not repeated."""

    def __post_init__(self) -> None:
        self.home = self.settings.home / "containers"
        (self.home / "landing").mkdir(parents=True)
        self.ports = {
            (name, port): find_free("127.0.0.1")
            for name, ports in OWN_PORTS.items()
            for port in ports
        }

    def run(self, name: str) -> int:
        """Run the command of a service that ends; its exit status."""
        return self._start(name).wait(timeout=READY_SECONDS)

    def start(self, name: str) -> None:
        """Start the command of a service that stays up."""
        self.running[name] = self._start(name)

    def await_healthy(self, name: str) -> None:
        """Wait until the service's own health check, run here, finds it well."""
        check = _health_check(name)
        deadline = time.monotonic() + READY_SECONDS
        while name not in self.well:
            asked = subprocess.run(
                [self.here(word, name) for word in check],
                env=self._environment(name),
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.returncode == 0:
                self.well.add(name)
                return
            ended = self.running[name].poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{name} is not well: {asked.stderr}\n{self.said_by(name)}")
            time.sleep(0.5)

    def url(self, name: str) -> str:
        """Where a service answers."""
        return f"http://127.0.0.1:{self.ports[name, OWN_PORTS[name][0]]}"

    def said_by(self, name: str) -> str:
        """The end of what a service printed."""
        return self._log(name).read_text("utf-8", errors="replace")[-3000:]

    def end(self) -> None:
        """End all that was started."""
        started = [psutil.Process(p.pid) for p in self.running.values() if p.poll() is None]
        family = [child for p in started for child in [*p.children(recursive=True), p]]
        for process in family:
            process.terminate()
        _, stubborn = psutil.wait_procs(family, timeout=15)
        for process in stubborn:
            process.kill()
        psutil.wait_procs(stubborn, timeout=15)

    def here(self, text: str, service: str) -> str:
        """What a word of the compose file means on this machine."""
        postgres = f"medloop:{SECRETS['POSTGRES_PASSWORD']}@postgres/"
        sockets = database.sockets(self.settings)
        text = re.sub(re.escape(postgres) + r"(\w+)", rf"postgres@/\1?host={sockets}", text)
        names = {
            "namenode:8020": f"127.0.0.1:{self.settings.namenode_rpc_port}",
            "namenode:9870": f"127.0.0.1:{self.settings.namenode_port}",
            "/var/lib/medloop": str(self.home),
            "/opt/spark/bin/": "",
            "/opt/medloop": str(ROOT),
            "/artifacts": str(self.home / "artifacts"),
            "0.0.0.0": "127.0.0.1",
        }
        for (name, port), free in self.ports.items():
            names[f"{name}:{port}"] = f"127.0.0.1:{free}"
            if name == service:
                names |= {
                    f"localhost:{port}": f"127.0.0.1:{free}",
                    f"localhost/{port}": f"127.0.0.1/{free}",
                }
                names[f"127.0.0.1:{port}"] = f"127.0.0.1:{free}"
                text = str(free) if text == str(port) else text
        for there, this in names.items():
            text = text.replace(there, this)
        return text

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        program, *words = SERVICES[name].get("command") or _instruction(name, "CMD")
        arguments = ["127.0.0.1" if word in SERVICES else self.here(word, name) for word in words]
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                [self.here(program, name), *arguments],
                env=self._environment(name),
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _environment(self, name: str) -> dict[str, str]:
        part = SERVICES[name]
        given: Mapping[str, Any] = {
            **_image_environment(name),
            **(read_env(ROOT / part["env_file"]) if "env_file" in part else {}),
            **part.get("environment", {}),
            **BESIDE.get(name, {}),
        }
        translated = {k: self.here(str(v), name) for k, v in given.items() if v is not None}
        return inherited_environment() | {"PYSPARK_PYTHON": sys.executable} | translated


def _health_check(name: str) -> list[str]:
    part = SERVICES[name]
    if "healthcheck" not in part:
        return _instruction(name, "HEALTHCHECK")
    kind, *words = part["healthcheck"]["test"]
    return ["bash", "-c", words[0]] if kind == "CMD-SHELL" else list(words)


def _instruction(name: str, instruction: str) -> list[str]:
    """The words of a CMD, or of a HEALTHCHECK's CMD, of a service's own Dockerfile."""
    text = dockerfile(name)
    begin = r"^CMD" if instruction == "CMD" else r"^HEALTHCHECK[\s\S]*?CMD"
    found = re.search(begin + r" (\[.*\])$", text, re.MULTILINE)
    assert found, f"{name}: no {instruction}"
    return [str(word) for word in json.loads(found[1])]


def _image_environment(name: str) -> dict[str, str]:
    """ENV of the image, but for its PATH: this environment's programs stand for the image's."""
    found = re.search(r"^ENV ((?:.*\\\n)*.*)$", dockerfile(name), re.MULTILINE)
    words = shlex.split(found[1].replace("\\\n", " ")) if found else []
    pairs = dict(word.split("=", 1) for word in words)
    return {key: value for key, value in pairs.items() if key != "PATH"}
