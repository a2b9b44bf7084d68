"""Proof that docker-compose.yml works: images are built, every part is healthy, a model serves.

    python -m benchmarks.prove_containers [--images 800] [--cache FOLDER]

Needs root, podman, runc, netavark, aardvark-dns, iptables and debootstrap
(`benchmarks.container_engine`). Follows docs/containers.md as a newcomer would: builds the image
from our Dockerfile, starts the compose file unchanged, retrains on phantoms through Airflow, asks
the champion from outside with a token, takes a backup, and starts everything again. Prints how
long each step takes; exits 1 at the first that fails. Removes all it has made.
"""

import argparse
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.container_engine import Engine
from pipelines.errors import StackError
from pipelines.phantom import generate
from pipelines.provenance import git_commit
from pipelines.settings import PROJECT

PROJECT_NAME = "medloop"
IMAGE = "medloop:0.1.0"
SERVICES: dict[str, dict[str, object]] = yaml.safe_load(
    (PROJECT / "docker-compose.yml").read_text("utf-8")
)["services"]
HEALTHY_SECONDS = 900
SERVICE = "http://127.0.0.1:3000"
SCHEDULER = "airflow-scheduler"


class Proof:
    """One run of the proof.

    Args:
        engine: the containers' engine.
        folder: for landing images, secrets and variables.
        images: how many phantoms are landed.
    """

    def __init__(self, engine: Engine, folder: Path, images: int) -> None:
        self._engine = engine
        self._variables = folder / "variables.env"
        self._landing = folder / "landing"
        self._token = ""
        self._answer: dict[str, Any] = {}
        self._ended = Event()
        self._health: dict[str, bool] = {}
        self.times: list[tuple[str, float, str]] = []
        generate(self._landing / "phantom", seed=7, images=images)
        (folder / "secrets").mkdir()
        (folder / "secrets" / "webhook").write_text("https://alerts.example.org/hook\n")
        self._variables.write_text(
            f"POSTGRES_PASSWORD={secrets.token_hex(16)}\n"
            f"MEDLOOP_LANDING={self._landing}\nMEDLOOP_SECRETS={folder / 'secrets'}\n"
            "MEDLOOP_ALERT_WEBHOOK_URL_FILE=/run/secrets/webhook\n"
        )
        _open_to_containers(folder)

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """What is done, in order: a name, and what does it and returns what was found."""
        yield "stand-ins for the public base images", self._stand_ins
        yield f"podman build: {IMAGE}", self._build
        yield "up: every part healthy", self._up
        yield "without a token nobody is answered", self._unauthorized
        yield "medloop run phantom, through Airflow", self._retrain
        yield "the champion answers from outside with a token", self._ask
        yield "the watch serves metrics, and finds every part ready", self._watch
        yield "medloop backup", self._backup
        yield "down", self._down
        yield "up again: every part healthy", self._up
        yield "the champion gives the same answer", self._ask_again
        yield "the backup restored into new volumes", self._restore
        yield "up once more: every part healthy", self._up
        yield "the champion gives the same answer", self._ask_again

    def run(self) -> None:
        """Do every step, and note how long it took.

        Raises:
            StackError: a step fails.
        """
        health = Thread(target=self._check_health, daemon=True)
        health.start()
        try:
            for name, step in self.steps():
                print(f"… {name}", flush=True)
                began = time.monotonic()
                found = step()
                self.times.append((name, time.monotonic() - began, found))
                print(f"  {self.times[-1][1]:.0f} s {found}", flush=True)
        finally:
            self._ended.set()
            health.join()

    def show(self) -> None:
        """Print the table of times."""
        table = Table("step", "seconds", "found", title="docker-compose.yml, run with podman")
        for name, seconds, found in self.times:
            table.add_row(name, f"{seconds:.0f}", found)
        Console().print(table)

    def logs(self) -> str:
        """The end of each part's log that is not healthy."""
        ill = [name for name in SERVICES if not self._health.get(name)]
        tail = ("logs", "--tail", "15")
        ends = [self._engine.podman(*tail, _container(name), check=False) for name in ill]
        return "\n".join(f"== {name}\n{end}" for name, end in zip(ill, ends, strict=True))

    def _stand_ins(self) -> str:
        made = [image for image, known in self._engine.stand_ins() if not known]
        return f"{len(made)} made"

    def _build(self) -> str:
        self._engine.build(
            IMAGE, "--build-arg", f"GIT_COMMIT={git_commit() or ''}", context=PROJECT
        )
        size = self._engine.podman("image", "inspect", "--format", "{{.Size}}", IMAGE)
        return f"{int(size) / 1e9:.1f} GB"

    def _compose(self, *words: str) -> str:
        return self._engine.compose(*words, variables=self._variables)

    def _up(self) -> str:
        self._compose("up", "--detach")
        self._await(*SERVICES)
        return f"{len(SERVICES)} containers"

    def _down(self) -> str:
        self._compose("down")
        return ""

    def _await(self, *services: str) -> None:
        self._health.clear()
        until = time.monotonic() + HEALTHY_SECONDS
        while not all(self._health.get(name) for name in services):
            if time.monotonic() > until:
                raise StackError(f"not healthy:\n{self.logs()}")
            time.sleep(1)

    def _check_health(self) -> None:
        """What systemd's timers do elsewhere: run each container's own health check."""
        while not self._ended.wait(2):
            for name in SERVICES:
                self._health[name] = self._engine.is_healthy(_container(name))

    def _exec(self, service: str, *words: str) -> str:
        return self._engine.podman("exec", _container(service), *words)

    def _unauthorized(self) -> str:
        self._expect("401", *self._predict())
        return "401"

    def _retrain(self) -> str:
        said = self._exec(SCHEDULER, "medloop", "run", "phantom")
        print(said)
        return next((line for line in said.splitlines() if "is the champion" in line), "refused")

    def _predict(self, *headers: str) -> list[str]:
        image = next((self._landing / "phantom").glob("round_lesion/*.png"))
        return [
            *("curl", "--silent", "--max-time", "60", "--write-out", "\n%{http_code}"),
            *(word for header in headers for word in ("--header", header)),
            *("--form", f"image=@{image}", f"{SERVICE}/predict"),
        ]

    def _expect(self, status: str, *command: str) -> str:
        body, _, found = self._engine.inside(*command).rpartition("\n")
        if found != status:
            raise StackError(f"expected {status}, got {found}: {body[:500]}")
        return body

    def _asked(self) -> dict[str, Any]:
        body = self._expect("200", *self._predict(f"Authorization: Bearer {self._token}"))
        answer: dict[str, Any] = json.loads(body)
        return {key: value for key, value in answer.items() if key != "request_id"}

    def _ask(self) -> str:
        self._token = self._exec("service", "medloop", "token", "new", "proof").splitlines()[-1]
        time.sleep(2)  # a new token counts within a second
        self._answer = self._asked()
        found = self._answer
        return f"{found['class']}, {found['confidence']:.3f}, version {found['model_version']}"

    def _ask_again(self) -> str:
        answer = self._asked()
        if answer != self._answer:
            raise StackError(f"{answer} differs from {self._answer}")
        return "the same"

    def _watch(self) -> str:
        until = time.monotonic() + 120
        while True:
            lines = self._engine.inside("curl", "--silent", "http://127.0.0.1:9300/metrics")
            ready = [line for line in lines.splitlines() if line.startswith("medloop_part_up{")]
            if ready and all(line.endswith(" 1.0") for line in ready):
                return f"{len(ready)} parts"
            if time.monotonic() > until:
                raise StackError("\n".join(ready) or lines)
            time.sleep(3)

    def _backup(self) -> str:
        self._exec(SCHEDULER, "medloop", "backup")
        show = "import glob, json; m = json.load(open(sorted(glob.glob("
        show += "'/var/lib/medloop/backups/medloop-*/backup.json'))[-1]));"
        show += "print(json.dumps([sorted(m['databases']), sorted(m['files']), m['git_commit']]))"
        databases, files, commit = json.loads(self._exec(SCHEDULER, "python", "-c", show))
        artifacts = [file for file in files if file.startswith("home/mlflow/artifacts/")]
        if databases != ["airflow", "mlflow"] or not artifacts:
            raise StackError(f"the backup has {databases} and {len(artifacts)} artifacts")
        if commit != git_commit():
            raise StackError(f"the backup was made by commit {commit}, not {git_commit()}")
        return f"{', '.join(databases)}, {len(artifacts)} artifacts, {len(files)} files"

    def _restore(self) -> str:
        backups = self._variables.with_name("backups")
        inside = f"{_container(SCHEDULER)}:/var/lib/medloop/backups"
        self._engine.podman("cp", inside, str(backups))
        self._engine.inside("chown", "--recursive", "1000:1000", str(backups))
        (backup,) = backups.glob("medloop-*")
        self._compose("down", "--volumes")
        self._compose("up", "--detach", "postgres", "namenode", "datanode")
        self._await("postgres", "datanode")
        said = self._compose(
            *("run", "--rm", "--no-deps", "-T", "--volume", f"{backups}:/backups:ro", SCHEDULER),
            *("medloop", "restore-backup", f"/backups/{backup.name}"),
        )
        return next((line for line in said.splitlines() if "as it was" in line), said)


def main() -> None:
    """Run the proof; print a table; exit 1 if a step fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=800, help="phantoms to land")
    parser.add_argument("--cache", type=Path, help="keep images and layers here for the next run")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)  # a proof that is ended from outside cleans up as well
    with tempfile.TemporaryDirectory(prefix="prove-containers-", dir="/var/tmp") as name:
        folder = Path(name)
        engine = Engine((options.cache or folder / "engine").absolute())
        try:
            engine.open()
            proof = Proof(engine, folder, options.images)
            try:
                proof.run()
            finally:
                proof.show()
        except (StackError, subprocess.SubprocessError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        finally:
            engine.close(keep_images=options.cache is not None)


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that a second one does not stop the removal
    sys.exit(1)


def _container(service: str) -> str:
    return f"{PROJECT_NAME}_{service}_1"


def _open_to_containers(folder: Path) -> None:
    """Containers run as another user."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


if __name__ == "__main__":
    main()
