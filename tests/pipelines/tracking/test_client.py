"""The connection: what it finds, and what it says when nobody answers."""

import time
from pathlib import Path

import pytest

from pipelines.errors import NotFound, TrackingUnavailable
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking
from stack.ports import find_free


def test_a_server_that_is_away_is_named_soon_and_without_a_traceback_of_others() -> None:
    uri = f"http://127.0.0.1:{find_free('127.0.0.1')}"
    began = time.monotonic()

    with pytest.raises(TrackingUnavailable, match=uri):
        Tracking(uri).experiment("brain", title="Brain")

    assert time.monotonic() - began < 30


def test_nobody_serves_where_nothing_was_registered(tracking: Tracking, name: str) -> None:
    assert versions.holder(tracking, name, "champion") is None


def test_an_experiment_is_made_once_and_brought_back_when_deleted(
    tracking: Tracking, name: str, experiment: str
) -> None:
    assert tracking.experiment(name, title="A test") == experiment

    tracking.client.delete_experiment(experiment)

    assert tracking.experiment(name, title="A test") == experiment
    assert tracking.client.get_experiment(experiment).lifecycle_stage == "active"


def test_artifacts_come_back_as_they_went(
    tracking: Tracking, experiment: str, tmp_path: Path
) -> None:
    run = tracking.client.create_run(experiment).info.run_id
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"\x00\x01")

    tracking.upload(run, folder, folder="deep/folder")
    tracking.upload_json(run, "deep/value.json", {"b": [1.5], "ä": None})

    assert tracking.artifacts(run, "deep") == ["deep/folder", "deep/value.json"]
    assert tracking.has_artifact(run, "deep/folder/a.bin")
    assert not tracking.has_artifact(run, "deep/folder/b.bin")
    assert tracking.read_json(run, "deep/value.json") == {"b": [1.5], "ä": None}
    fetched = tracking.download(run, "deep/folder", target=tmp_path / "back")
    assert (fetched / "a.bin").read_bytes() == b"\x00\x01"


def test_a_missing_artifact_is_named(tracking: Tracking, experiment: str, tmp_path: Path) -> None:
    run = tracking.client.create_run(experiment).info.run_id

    with pytest.raises(NotFound, match="no artifact model/none"):
        tracking.download(run, "model/none", target=tmp_path)
