"""Airflow reads its home when it is imported: one of the tests' own, never the user's."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.activity import enable
from pipelines.settings import get_settings
from pipelines.spec import load_spec

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="medloop-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"

PHANTOM = Path(__file__).parents[2] / "datasets" / "phantom.yaml"


@pytest.fixture
def write_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Write the spec of a data set ``scans``, the phantoms' but for some fields; its name."""
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path))
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))

    def write(**changes: Any) -> str:
        get_settings.cache_clear()
        spec = yaml.safe_load(PHANTOM.read_text("utf-8")) | {"name": "scans"} | changes
        (tmp_path / "scans.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        enable(get_settings(), "scans")
        return load_spec("scans").name

    yield write
    get_settings.cache_clear()
