"""Monitoring from the command line: labels are taken, and the status tells of the traffic."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.cli.status import _traffic
from pipelines.errors import LabelError
from pipelines.monitoring.labels import label_files
from pipelines.monitoring.state import Episode, State, keep
from pipelines.stage import Context
from tests.pipelines.monitoring.samples import NOON


def test_labels_are_kept_and_the_next_step_is_named(context: Context, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("request_id,label\nr1,no_lesion\nr2,round_lesion\n")
    result = CliRunner().invoke(app, ["label", "phantom", str(file)])
    assert result.exit_code == 0
    assert "2 labels kept; `medloop monitor phantom` measures with them" in result.output
    assert len(label_files(context.store, "phantom")) == 1


def test_a_label_that_is_no_class_is_told(context: Context, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("request_id,label\nr1,glioma\n")
    result = CliRunner().invoke(app, ["label", "phantom", str(file)])
    assert isinstance(result.exception, LabelError)
    assert not label_files(context.store, "phantom")


@pytest.mark.parametrize(
    ("episode", "told"),
    [
        (None, "no drift, 0 windows of version 3"),
        (Episode(window=7, since=NOON), "DRIFT since window 7, 0 windows of version 3"),
    ],
)
def test_the_status_tells_of_drift(context: Context, episode: Episode | None, told: str) -> None:
    assert _traffic("phantom") == "not watched yet"
    keep(context.store, "phantom", State(version=3, run_id="r", profile="p", episode=episode))
    assert _traffic("phantom") == told
