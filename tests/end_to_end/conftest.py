"""One whole stack and one tiny data set, shared by the tests that run the loop for real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.data.phantom import generate
from pipelines.scheduler import RunState, Scheduler, open_scheduler
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings
from stack.environment import settings_environment
from stack.testing import running_stack

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
    "split": {"validation": 0.2, "test": 0.2, "seed": 3},
    "checks": {"max_quarantined": 0.1, "min_per_class": 10},
    "candidates": [
        {
            "name": "frozen",
            "model": "efficientnet_lite0",
            "recipe": "frozen",
            "epochs": 6,
        },
        {
            "name": "scratch",
            "model": "small_cnn",
            "recipe": "scratch",
            "weights": None,
            "epochs": 2,
        },
    ],
    "gate": {"minimum": {"accuracy": 0.05}},
}


@dataclass(frozen=True)
class Loop:
    """A running installation with the data set ``tiny``."""

    settings: Settings
    landing: Path

    def medloop(self, *arguments: str, status: int = 0) -> str:
        """Run a command as a user would; its whole output."""
        result = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *arguments],
            env=os.environ | settings_environment(self.settings),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        output = result.stdout + result.stderr
        assert result.returncode == status, output
        return output

    def write_spec(self, **changes: Any) -> None:
        """Replace fields of the data set's file."""
        file = self.settings.datasets / "tiny.yaml"
        file.write_text(yaml.safe_dump(SPEC | changes, sort_keys=False))

    @property
    def scheduler(self) -> Scheduler:
        return open_scheduler(self.settings)

    @property
    def service(self) -> ServiceClient:
        return ServiceClient(self.settings)

    def last_run(self) -> RunState:
        """The run of the DAG that was started last."""
        run = self.scheduler.latest("retrain_tiny")
        assert run is not None
        return run

    def an_image(self, label: str) -> Path:
        """A good picture of one class."""
        return sorted((self.landing / label).glob("subject*_slice1.png"))[0]


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    home = tmp_path_factory.mktemp("loop")
    datasets = home / "datasets"
    datasets.mkdir()
    landing = home / "landing" / "tiny"
    generate(landing, seed=5, images=90, size=64)
    (datasets / "tiny.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    fields = {"datasets": datasets, "champion_poll_seconds": 0.5, "spark_driver_memory": "1g"}
    with running_stack(None, home=home, **fields) as settings:
        yield Loop(settings, landing)
