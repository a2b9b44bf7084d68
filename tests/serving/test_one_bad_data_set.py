"""What is wrong with one data set's model keeps no other from being followed and served."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.errors import TrackingUnavailable
from pipelines.release import registry
from pipelines.release.predictor import Predictor
from pipelines.stage import Context
from serving.champions import Champions
from serving.follower import Follower, remember


@pytest.fixture
def followed(context: Context, predictor: Predictor) -> tuple[Follower, Champions]:
    """A follower that loads one good bundle, of ``phantom``, and breaks on all others."""
    champions = Champions()

    def load(folder: Path) -> Predictor:
        if folder.name != "phantom":
            raise RuntimeError("the inference library broke off")
        return predictor

    return Follower(champions, context, load=load), champions


def test_a_bundle_that_cannot_be_fetched_stops_no_other(
    followed: tuple[Follower, Champions], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_: Context, dataset: str, __: int) -> Path:
        if dataset == "brain_mri":
            raise TrackingUnavailable("its artifacts are gone: 500")
        return Path(dataset)

    monkeypatch.setattr(registry, "champion", lambda *_: SimpleNamespace(version=1, run_id="r"))
    monkeypatch.setattr(registry, "fetch", fetch)
    follower, champions = followed

    follower.look()

    report = champions.report()
    assert [model.dataset for model in report.models] == ["phantom"]
    assert report.registry == "failing"
    assert "brain_mri: TrackingUnavailable: its artifacts are gone" in str(report.registry_detail)


def test_a_registry_that_is_away_is_asked_once_a_look(
    followed: tuple[Follower, Champions], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def champion(_: Context, dataset: str) -> None:
        asked.append(dataset)
        raise TrackingUnavailable("MLflow does not answer")

    monkeypatch.setattr(registry, "champion", champion)
    follower, champions = followed

    follower.look()

    assert len(asked) == 1
    assert champions.report().registry == "unreachable"


def test_a_last_bundle_that_breaks_the_library_stops_no_other_from_serving_at_start(
    followed: tuple[Follower, Champions], context: Context
) -> None:
    for dataset in ("brain_mri", "phantom"):
        remember(context.settings, dataset, context.settings.bundles / dataset)
    note = context.settings.home / "service" / "chest_xray.json"
    note.write_text(json.dumps(["not a note"]))
    follower, champions = followed

    follower.restore()

    report = champions.report()
    assert [model.dataset for model in report.models] == ["phantom"]
    assert [(one.dataset, one.reason) for one in report.refused] == [
        ("brain_mri", "The last good bundle: the inference library broke off")
    ]
