"""One whole stack and two tiny data sets, shared by all tests that need the whole.

``tiny`` is retrained by hand. ``phantom`` belongs to the proof that the loop needs nobody, which
runs in the background while other tests run.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from benchmarks import prove_unattended
from benchmarks.claims import Claim
from pipelines.phantom import generate
from pipelines.scheduler import RunState, Scheduler, open_scheduler
from pipelines.service_client import ServiceClient
from pipelines.settings import PROJECT, Settings
from stack.environment import settings_environment
from stack.testing import running_stack

T = TypeVar("T")

IMAGES_EACH = 90
"""Images of each delivery to ``phantom``."""

SCRATCH = {"model": "strided_cnn", "recipe": "scratch", "weights": None, "epochs": 2}
SPEC: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny phantoms",
    "synthetic": True,
    "source": {"origin": "drawn by the tests", "licence": "CC0-1.0", "consent": "not needed"},
    "landing": {"group_pattern": r"^(?P<group>subject\d+)_", "ignore": ["masks/**"]},
    "classes": [
        {"name": "no_lesion", "title": "No lesion", "finding": False, "about": "None drawn."},
        {"name": "round_lesion", "title": "Round lesion", "about": "A round one."},
        {"name": "diffuse_lesion", "title": "Diffuse lesion", "about": "A spreading one."},
    ],
    "image": {"size": 64},
    # With this seed, each class of each delivery has 7 test images or more.
    "split": {"validation": 0.2, "test": 0.2, "seed": 2},
    "checks": {"max_quarantined": 0.1, "min_per_class": 10},
    "candidates": [
        SCRATCH | {"name": "scratch"},
        SCRATCH | {"name": "longer", "epochs": 3},
    ],
    # Networks of a few epochs are barely better than guessing; what is tried here is the loop.
    "gate": {
        "minimum": {"accuracy": 0.05},
        "min_informedness": None,
        "max_ece": None,
        "max_subgroup_drop": None,
        "min_inside_body": None,
        "max_sanity_correlation": None,
        "max_background_kappa": None,
    },
    # Once a year: a clock is what Airflow's backfill asks for.
    "retrain": {"schedule": "@yearly", "on_landing": False},
    "monitor": {"schedule": None},
}
UNATTENDED = SPEC | {
    "name": prove_unattended.DATASET,
    "title": "Phantoms that nobody looks after",
    "candidates": [SCRATCH | {"name": "scratch"}],
    "landing": SPEC["landing"] | {"quiet_seconds": 10},
    "retrain": {"min_new_images": 50, "on_drift": True, "profile": False},
    # A profile of 40 images of 13 subjects is so small that two of three clean windows differ from
    # it; the drifted ones differ each time.
    "monitor": {"schedule": "* * * * *", "window": 50, "troubled": 3},
}


@dataclass(frozen=True)
class Loop:
    """A running installation with the data sets of this page."""

    settings: Settings
    landing: Path
    """Where the images of ``tiny`` are."""

    def medloop(self, *arguments: str, status: int = 0) -> str:
        """Run a command as a user would; its whole output."""
        result = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *arguments],
            env=os.environ | settings_environment(self.settings) | {"COLUMNS": "300"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        output = result.stdout + result.stderr
        assert result.returncode == status, output
        return output

    def make(self, *words: str) -> str:
        """Run a target of the Makefile on this installation; its whole output."""
        result = subprocess.run(
            ["make", "--no-print-directory", *words],
            cwd=PROJECT,
            env=os.environ | settings_environment(self.settings) | {"COLUMNS": "300"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        output = result.stdout + result.stderr
        assert result.returncode == 0, output
        return output

    def write_spec(self, **changes: Any) -> None:
        """Replace fields of the data set's file. Its images are profiled by its first run only."""
        file = self.settings.datasets / "tiny.yaml"
        quick = SPEC | {"retrain": SPEC["retrain"] | {"profile": False}}
        file.write_text(yaml.safe_dump(quick | changes, sort_keys=False))

    @cached_property
    def scheduler(self) -> Scheduler:
        return open_scheduler(self.settings)

    @property
    def service(self) -> ServiceClient:
        return ServiceClient(self.settings)

    def last_run(self, dag: str = "retrain_tiny") -> RunState:
        """The run of a DAG that was started last."""
        run = self.scheduler.latest(dag)
        assert run is not None
        return run

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """All runs of a DAG as Airflow tells of them, the oldest first."""
        answer = self.scheduler._call("GET", f"dags/{dag}/dagRuns?order_by=run_after")
        return list(answer["dag_runs"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """The tasks of a run as Airflow reports them."""
        answer = self.scheduler._call("GET", f"dags/{dag}/dagRuns/{run}/taskInstances")
        return list(answer["task_instances"])

    def an_image(self, label: str) -> Path:
        """A good picture of one class."""
        return sorted((self.landing / label).glob("subject*_slice1.png"))[0]


def wait_until(condition: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """What ``condition`` gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(1)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    home = tmp_path_factory.mktemp("loop")
    datasets = home / "datasets"
    datasets.mkdir()
    landing = home / "landing" / "tiny"
    generate(landing, seed=5, images=90, size=64)
    for spec in (SPEC, UNATTENDED):
        (datasets / f"{spec['name']}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    fields = {
        "datasets": datasets,
        "champion_poll_seconds": 0.5,
        "spark_driver_memory": "1g",
        "service_sample_share": 1,
        "service_sample_seconds": 5,
    }
    with running_stack(None, home=home, datanodes=2, **fields) as settings:
        yield Loop(settings, landing)


@pytest.fixture(scope="session")
def unattended(loop: Loop) -> Iterator["Future[list[Claim]]"]:
    """The claims of `benchmarks.prove_unattended`, made in the background."""

    def prove() -> list[Claim]:
        claims = prove_unattended.prove(loop.settings, images=IMAGES_EACH, size=64)
        # It runs each minute for the proof alone.
        loop.scheduler._call("PATCH", "dags/monitor_phantom", {"is_paused": True})
        return claims

    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(prove)
