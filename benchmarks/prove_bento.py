"""Proof that a Bento runs in a container: ``bentoml containerize`` builds it, a champion answers.

    python -m benchmarks.prove_bento [--bundle B] [--cache FOLDER]

Needs what `benchmarks.prove_containers` needs. Runs ``bentoml build`` and ``bentoml containerize``
with podman, starts the image without a way out, and asks it from outside, without and with a token.
The answer has to be that of the same bundle in this process. Prints how long each step takes; exits
1 at the first that fails. Removes all it has made.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.container_engine import Engine
from benchmarks.subject import Subject, make_subject
from pipelines.errors import StackError
from pipelines.release.predictor import open_predictor
from pipelines.settings import get_settings

BASES = ("docker.io/library/python:3.11-slim", "localhost/python:3.11-slim")
"""What the Dockerfile's ``python:3.11-slim`` can mean to podman."""
IMAGE = "medloop-bento:proof"
CONTAINER = "medloop-bento"
HOME = "/home/bentoml/state"
SERVICE = "http://127.0.0.1:3000"
BENTOML = str(Path(sys.executable).with_name("bentoml"))
READY_SECONDS = 120
APART = 1e-6
"""By which a probability may differ."""


class Proof:
    """One run of the proof.

    Args:
        engine: the containers' engine.
        subject: what is built in, and what it is asked.
        folder: for BentoML's store and the image that is asked.
    """

    def __init__(self, engine: Engine, subject: Subject, folder: Path) -> None:
        self._engine = engine
        self._subject = subject
        self._store = str(folder / "bentoml")
        self._image = folder / "image"
        self._image.write_bytes(subject.image)

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """What is done, in order: a name, and what does it and returns what was found."""
        yield "stand-in for python:3.11-slim", self._base
        yield "bentoml build", self._build
        yield "bentoml containerize --backend podman", self._containerize
        yield "the container is ready", self._start
        yield "without a token nobody is answered", self._unauthorized
        yield "the champion answers as it does here", self._ask

    def _base(self) -> str:
        first, *others = BASES
        self._engine.slim_python(first)
        for other in others:
            self._engine.podman("tag", first, other)
        return first

    def _build(self) -> str:
        bundle = f"bundle={self._subject.bundle.absolute()}"
        said = self._bentoml("build", "--output", "tag", "--arg", bundle)
        return said.splitlines()[-1].removeprefix("__tag__:")

    def _containerize(self) -> str:
        words = ("containerize", "medloop:latest", "--backend", "podman", "--opt", "network=host")
        self._bentoml(*words, "--image-tag", IMAGE)
        size = self._engine.podman("image", "inspect", "--format", "{{.Size}}", IMAGE)
        return f"{int(size) / 1e9:.1f} GB"

    def _start(self) -> str:
        run = ("run", "--detach", "--name", CONTAINER, "--network", "host")
        self._engine.podman(*run, "--env", f"MEDLOOP_HOME={HOME}", IMAGE)
        until = time.monotonic() + READY_SECONDS
        while self._curl("/readyz")[0] != "200":
            if time.monotonic() > until:
                raise StackError(self._engine.podman("logs", CONTAINER, check=False)[-3000:])
            time.sleep(0.5)
        return self._engine.podman("exec", CONTAINER, "id", "--user", "--name")

    def _unauthorized(self) -> str:
        status, body = self._predict()
        if status != "401":
            raise StackError(f"expected 401, got {status}: {body}")
        return status

    def _ask(self) -> str:
        command = ("python", "-m", "pipelines.cli", "token", "new", "proof", "--role", "predict")
        folder = ("--workdir", "/home/bentoml/bento/src")
        token = self._engine.podman("exec", *folder, CONTAINER, *command).splitlines()[-1]
        time.sleep(2)  # a new token counts within a second
        status, body = self._predict("--header", f"Authorization: Bearer {token}")
        if status != "200":
            raise StackError(f"expected 200, got {status}: {body}")
        answer = json.loads(body)
        cache = get_settings().cache
        predictor = open_predictor(self._subject.bundle, "openvino", cache=cache, threads=1)
        expected = predictor.read(self._subject.image).shares
        found = list(answer["probabilities"].values())
        apart = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        if apart > APART:
            raise StackError(f"{found} instead of {expected}")
        return f"{answer['class']}, {apart:.1e} apart"

    def _predict(self, *options: str) -> tuple[str, str]:
        return self._curl("/predict", "--form", f"image=@{self._image}", *options)

    def _curl(self, path: str, *options: str) -> tuple[str, str]:
        """Status and body."""
        curl = ("curl", "--silent", "--max-time", "60", "--write-out", "\n%{http_code}")
        said = self._engine.inside(*curl, *options, f"{SERVICE}{path}", check=False)
        body, _, status = said.rpartition("\n")
        return status, body[:1000]

    def _bentoml(self, *words: str) -> str:
        variables = {"BENTOML_HOME": self._store, "BENTOML_DO_NOT_TRACK": "true"}
        return self._engine.outside(BENTOML, *words, **variables)


def main() -> None:
    """Run the proof; print a table; exit 1 if a step fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, help="default: EfficientNet-Lite0, made here")
    parser.add_argument("--cache", type=Path, help="keep images and layers here for the next run")
    options = parser.parse_args()
    subject = make_subject(options.bundle, None)
    table = Table("step", "seconds", "found", title="A Bento in a container, run with podman")
    with tempfile.TemporaryDirectory(prefix="prove-bento-", dir="/var/tmp") as name:
        folder = Path(name)
        engine = Engine((options.cache or folder / "engine").absolute())
        try:
            engine.open()
            for step, do in Proof(engine, subject, folder).steps():
                print(f"… {step}", flush=True)
                began = time.monotonic()
                found = do()
                table.add_row(step, f"{time.monotonic() - began:.0f}", found)
        except (StackError, subprocess.SubprocessError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        finally:
            Console().print(table)
            engine.close(keep_images=options.cache is not None)


if __name__ == "__main__":
    main()
