"""Aliases move as they should, and only to bundles that are whole."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from pipelines.errors import BundleError, ChampionChanged, NotFound, TrackingUnavailable
from pipelines.outputs import RuleResult, Verdict
from pipelines.release import registry
from pipelines.release.bundle import MANIFEST, load_bundle
from pipelines.release.card.beside import CARD_PAGE, beside
from pipelines.release.report import place
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from stack.ports import find_free
from tests.pipelines.release.models import tiny_bundle, tiny_model, tiny_spec
from tests.pipelines.tracked import tracked_context

Register = Callable[..., int]
"""Name, and another bundle's folder → version."""


@pytest.fixture
def here(mlflow_server: Settings, tmp_path: Path) -> Context:
    return tracked_context(mlflow_server, tmp_path)


@pytest.fixture
def register(here: Context, bundle_folder: Path) -> Register:
    """Registers the tiny bundle under a name; its version."""

    def do(name: str, folder: Path = bundle_folder) -> int:
        tracking = open_tracking(here.settings)
        run = tracking.client.create_run(tracking.experiment(name, title=name)).info.run_id
        tracking.upload(run, folder, folder="bundles/x")
        made = versions.register(
            tracking, name, run_id=run, artifact="bundles/x", about="", tags={}
        )
        return made.version

    return do


def holders(context: Context, name: str) -> dict[str, int | None]:
    """Alias → version."""
    found = {}
    for alias in ("champion", "challenger", "previous"):
        holder = versions.holder(open_tracking(context.settings), name, alias)
        found[alias] = holder.version if holder else None
    return found


def challenge(context: Context, name: str, version: int) -> None:
    """Let a version be the challenger."""
    versions.set_alias(open_tracking(context.settings), name, "challenger", version=version)


def test_promotion_moves_the_champion_and_keeps_the_one_before(
    here: Context, register: Register
) -> None:
    name = "promoted"
    assert registry.champion(here, name) is None
    challenge(here, name, register(name))

    first = registry.promote(here, name)
    assert (first.champion, first.previous) == (1, None)

    challenge(here, name, register(name))
    second = registry.promote(here, name)
    assert (second.champion, second.previous) == (2, 1)
    assert holders(here, name) == {"champion": 2, "challenger": None, "previous": 1}

    again = registry.promote(here, name, 2)
    assert (again.champion, again.previous) == (2, 1)
    champion = registry.champion(here, name)
    assert champion is not None
    assert champion.version == 2


def test_a_promotion_that_was_cut_short_is_completed(here: Context, register: Register) -> None:
    name = "cut"
    registry.promote(here, name, register(name))
    challenge(here, name, register(name))
    versions.set_alias(open_tracking(here.settings), name, "previous", version=1)

    registry.promote(here, name)

    assert holders(here, name) == {"champion": 2, "challenger": None, "previous": 1}


def test_of_two_promotions_against_the_same_champion_one_is_stopped(
    here: Context, register: Register
) -> None:
    name = "raced"
    registry.promote(here, name, register(name))
    tracking = open_tracking(here.settings)
    rivals = [register(name), register(name)]
    for version in rivals:
        tags = {versions.VERDICT_TAG: "passed", versions.COMPARED_TAG: "1"}
        versions.tag(tracking, name, version, tags=tags)
        registry.fetch(here, name, version)
    together = Barrier(2)

    def promoted(version: int) -> int | None:
        together.wait()
        try:
            return registry.promote(here, name, version).champion
        except ChampionChanged:
            return None

    with ThreadPoolExecutor(2) as threads:
        done = [version for version in threads.map(promoted, rivals) if version]

    assert len(done) == 1
    assert holders(here, name) == {"champion": done[0], "challenger": None, "previous": 1}

    loser = next(version for version in rivals if version not in done)
    with pytest.raises(ChampionChanged, match="judged against version 1, but version"):
        registry.promote(here, name, loser)
    assert registry.promote(here, name, loser, force=True).champion == loser


def test_of_two_rollbacks_of_the_same_champion_one_is_stopped(
    here: Context, register: Register
) -> None:
    name = "rolled_twice"
    for _ in range(2):
        registry.promote(here, name, register(name))

    def rolled(_: int) -> int | None:
        try:
            return registry.rollback(here, name, expect=2).champion
        except ChampionChanged:
            return None

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(rolled, range(2)), key=str) == [1, None]
    assert holders(here, name) == {"champion": 1, "challenger": None, "previous": 2}


def test_rollback_goes_back_and_forth_or_to_a_named_version(
    here: Context, register: Register
) -> None:
    name = "rolled"
    for _ in range(3):
        registry.promote(here, name, register(name))

    assert registry.rollback(here, name).champion == 2
    assert holders(here, name) == {"champion": 2, "challenger": None, "previous": 3}
    assert registry.rollback(here, name).champion == 3
    assert registry.rollback(here, name, 1).champion == 1
    assert holders(here, name)["previous"] == 3


def test_what_is_not_there_is_named(here: Context, register: Register) -> None:
    name = "missing"
    with pytest.raises(NotFound, match="no challenger"):
        registry.promote(here, name)
    with pytest.raises(NotFound, match="no version 7"):
        registry.promote(here, name, 7)
    with pytest.raises(NotFound, match="no champion before"):
        registry.rollback(here, name)
    registry.promote(here, name, register(name))
    with pytest.raises(NotFound, match="no champion before"):
        registry.rollback(here, name)
    assert holders(here, name)["champion"] == 1


def test_a_bundle_that_was_altered_in_mlflow_is_not_promoted(
    here: Context, register: Register, bundle_folder: Path, tmp_path: Path
) -> None:
    name = "altered"
    registry.promote(here, name, register(name))
    altered = Path(shutil.copytree(bundle_folder, tmp_path / "altered"))
    (altered / "model.bin").write_bytes(b"something else")
    challenge(here, name, register(name, altered))

    with pytest.raises(BundleError, match=r"model\.bin"):
        registry.promote(here, name)

    assert holders(here, name)["champion"] == 1


def test_a_refused_challenger_is_tagged_and_nothing_else_happens_to_the_champion(
    here: Context, register: Register
) -> None:
    name = "refused"
    registry.promote(here, name, register(name))
    challenge(here, name, register(name))
    rule = RuleResult(rule="accuracy is at least 0.8", value=0.5, limit=0.8, passed=False)
    verdict = Verdict(dataset=name, id="x", version=2, passed=False, champion=1, rules=[rule])

    for _ in range(2):
        registry.refuse(tiny_spec(name=name), here, verdict)

    assert holders(here, name) == {"champion": 1, "challenger": None, "previous": None}
    tracking = open_tracking(here.settings)
    refused = versions.named(tracking, name, 2)
    assert refused.tags["medloop.refused"] == "accuracy is at least 0.8: 0.5000"
    assert tracking.has_artifact(refused.run_id, place(2, "report.html"))


def test_a_bundle_is_fetched_once_stamped_and_mended_if_it_was_spoiled(
    here: Context, register: Register
) -> None:
    name = "fetched"
    version = register(name)

    folder = registry.fetch(here, name, version)
    assert load_bundle(folder).manifest.model_version == version
    written = (folder / MANIFEST).stat().st_mtime_ns
    assert registry.fetch(here, name, version) == folder
    assert (folder / MANIFEST).stat().st_mtime_ns == written

    (folder / "head.npz").unlink()
    assert registry.fetch(here, name, version) == folder
    assert load_bundle(folder).manifest.model_version == version
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, ".lock"}


def test_the_card_of_a_version_comes_along_as_it_is_now(here: Context, register: Register) -> None:
    name = "carded"
    version = register(name)
    assert not beside(registry.fetch(here, name, version)).exists()
    tracking = open_tracking(here.settings)
    run_id = versions.named(tracking, name, version).run_id

    for text in ("a card", "a newer card"):
        tracking.upload_text(run_id, place(version, CARD_PAGE), text)
        folder = registry.fetch(here, name, version)
        assert beside(folder).read_text("utf-8") == text
        kept = {path.name for path in folder.parent.iterdir()}
        assert kept == {folder.name, beside(folder).name, ".lock"}


def test_a_bundle_that_several_fetch_at_once_is_never_taken_from_under_one(
    here: Context, register: Register
) -> None:
    name = "crowd"
    version = register(name)

    def fetch_and_open(_: int) -> int | None:
        return load_bundle(registry.fetch(here, name, version)).manifest.model_version

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(fetch_and_open, range(12))) == {version}


def test_versions_of_another_mlflow_are_not_taken_for_ours(
    here: Context, register: Register, tmp_path: Path
) -> None:
    name = "elsewhere"
    first = registry.fetch(here, name, register(name))
    open_tracking(here.settings).client.delete_registered_model(name)
    other = tiny_bundle(tmp_path / "other", tiny_model(seed=3))

    second = registry.fetch(here, name, register(name, other))

    assert first != second
    assert load_bundle(second).manifest.files != load_bundle(first).manifest.files


def test_a_registry_that_is_away_is_named(here: Context) -> None:
    port = find_free("127.0.0.1")
    away = here.settings.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{port}"})

    with pytest.raises(TrackingUnavailable, match=str(port)):
        registry.champion(Context(settings=away, store=here.store), "any")
