"""A promoted version that is worse gives way to the one before, in a real MLflow."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipelines.alerts.book import Book
from pipelines.audit.entries import (
    ROLLBACKS,
    audit_folder,
)
from pipelines.errors import ChampionChanged, NotFound
from pipelines.release import auto_rollback, gate, promotions, registry
from pipelines.release.promotions import Promotion
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from tests.pipelines.release.asked import write_log
from tests.pipelines.release.models import tiny_spec
from tests.pipelines.tracked import tracked_context

NUMBERS = count()


@pytest.fixture
def here(mlflow_server: Settings, tmp_path: Path) -> Context:
    return tracked_context(mlflow_server, tmp_path)


@pytest.fixture
def spec() -> DatasetSpec:
    """A name of its own for each test: MLflow is shared."""
    return tiny_spec(name=f"watched_{next(NUMBERS)}")


@pytest.fixture
def promoted(here: Context, spec: DatasetSpec, bundle_folder: Path) -> Promotion:
    """Version 2, a minute ago, in the place of version 1."""
    tracking = open_tracking(here.settings)
    for _ in range(2):
        run = tracking.client.create_run(tracking.experiment(spec.name, title="x")).info.run_id
        tracking.upload(run, bundle_folder, folder="bundles/x")
        made = versions.register(
            tracking, spec.name, run_id=run, artifact="bundles/x", about="", tags={}
        )
        registry.promote(here, spec.name, made.version)
    promotion = promotions.latest(here.settings, spec.name)
    assert promotion is not None
    promotion = promotion.model_copy(update={"at": datetime.now(UTC) - timedelta(minutes=1)})
    promotions.note(here.settings, promotion)
    return promotion


@pytest.fixture
def failing(here: Context, promoted: Promotion) -> Promotion:
    """The same promotion; since then, every second request failed."""
    write_log(audit_folder(here.settings), promoted, new=10, failed=10)
    return promoted


def holders(context: Context, dataset: str) -> dict[str, int | None]:
    tracking = open_tracking(context.settings)
    found = {a: versions.holder(tracking, dataset, a) for a in ("champion", "previous")}
    return {alias: one.version if one else None for alias, one in found.items()}


def tags(context: Context, promotion: Promotion, version: int) -> dict[str, str]:
    tracking = open_tracking(context.settings)
    return dict(versions.named(tracking, promotion.dataset, version).tags)


def rollbacks(context: Context) -> list[dict[str, Any]]:
    log = audit_folder(context.settings) / ROLLBACKS
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def alerts(context: Context) -> list[str]:
    with Book(context.settings) as book:
        return [notice.alert.title for notice in book.open_troubles()]


def test_errors_bring_the_version_before_back_for_good(
    here: Context, spec: DatasetSpec, failing: Promotion
) -> None:
    with ThreadPoolExecutor(2) as watchers:
        both = list(watchers.map(lambda _: auto_rollback.check(spec, here), range(2)))

    (done,) = [promotion for promotion in both if promotion]
    assert done.outcome == "rolled back to version 1"
    assert holders(here, spec.name) == {"champion": 1, "previous": None}
    why = "requests failed: 10 of 20 (50.0%), before: 0 of 60 (0.0%), limit 2.0%"
    assert why in tags(here, failing, 2)[versions.ROLLED_BACK_TAG]
    assert why in tags(here, failing, 1)[versions.RESTORED_TAG]
    (line,) = rollbacks(here)
    assert (line["version"], line["restored"], line["reasons"]) == (2, 1, [why])
    assert alerts(here) == [f"{spec.name}: version 2 was rolled back to version 1"]

    with pytest.raises(NotFound, match="no champion before"):
        registry.rollback(here, spec.name)
    with pytest.raises(ChampionChanged, match="rolled back automatically"):
        registry.promote(here, spec.name, 2)
    (rule,) = gate._broken_already(versions.named(open_tracking(here.settings), spec.name, 2))
    assert not rule.passed

    assert registry.promote(here, spec.name, 2, force=True).champion == 2
    assert versions.ROLLED_BACK_TAG not in tags(here, failing, 2)
    assert [p.version for p in promotions.watched(here.settings)] == [2]


def test_one_that_is_killed_in_between_is_finished_by_the_next(
    here: Context, failing: Promotion, spec: DatasetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("open_predictor", "_forget_previous", "note_rollback", "send"):
        with monkeypatch.context() as killed:
            killed.setattr(auto_rollback, place, _die)
            with pytest.raises(KeyboardInterrupt):
                auto_rollback.check(spec, here)
        (waiting,) = promotions.watched(here.settings)
        assert waiting == failing.model_copy(update={"reasons": waiting.reasons})
        assert waiting.reasons

    done = auto_rollback.check(spec, here)
    assert done is not None
    assert done.outcome == "rolled back to version 1"
    assert holders(here, spec.name) == {"champion": 1, "previous": None}
    assert alerts(here)


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_where_the_version_before_cannot_be_loaded_people_are_told(
    here: Context, spec: DatasetSpec, failing: Promotion
) -> None:
    tracking = open_tracking(here.settings)
    tracking.client.delete_model_version(spec.name, "1")
    done = auto_rollback.check(spec, here)

    assert done is not None
    assert done.outcome is not None
    assert done.outcome.startswith("not rolled back")
    assert holders(here, spec.name)["champion"] == 2
    assert alerts(here) == [f"{spec.name}: version 2 is worse, and version 1 cannot serve"]
    assert versions.ROLLED_BACK_TAG not in tags(here, failing, 2)


def test_a_person_who_has_turned_it_off_or_was_faster_is_not_overruled(
    here: Context, spec: DatasetSpec, failing: Promotion
) -> None:
    assert auto_rollback.check(tiny_spec(name=spec.name, auto_rollback=None), here) is None
    assert holders(here, spec.name)["champion"] == 2
    registry.rollback(here, spec.name)

    assert auto_rollback.check(spec, here) is None
    assert not promotions.watched(here.settings)
    assert versions.ROLLED_BACK_TAG not in tags(here, failing, 2)


def test_one_that_is_no_worse_is_watched_no_longer_than_it_is_said(
    here: Context, spec: DatasetSpec, promoted: Promotion
) -> None:
    long_ago = promoted.model_copy(update={"at": promoted.at - timedelta(hours=50)})
    for promotion in (long_ago, promoted):
        write_log(audit_folder(here.settings), promotion, new=100)
    assert auto_rollback.check(spec, here) == promoted
    promotions.note(here.settings, long_ago)

    done = auto_rollback.check(spec, here)
    assert done is not None
    assert done.outcome is not None
    assert done.outcome == "not worse in 24 h: 100 answers, 60 before"
    assert tags(here, promoted, 2)[versions.WATCHED_TAG] == done.outcome
    assert not promotions.watched(here.settings)
