"""The best on validation becomes challenger, once."""

from dataclasses import replace

import pytest

from pipelines.errors import NotFound, TrainingError
from pipelines.evaluation.record import read_evaluation
from pipelines.imaging import decode
from pipelines.outputs import Evaluated
from pipelines.release import registry, select
from pipelines.release.bundle import load_bundle
from pipelines.settings import Settings
from pipelines.tracking import versions
from tests.pipelines.data.small_collection import images
from tests.pipelines.release.installation import Installation, install
from tests.pipelines.tracked import brightness_model


@pytest.fixture(scope="module")
def here(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(mlflow_server, tmp_path_factory.mktemp("select"), "selected")


@pytest.fixture(scope="module")
def good(here: Installation) -> Evaluated:
    return here.candidate("good")


@pytest.fixture(scope="module")
def bad(here: Installation) -> Evaluated:
    return here.candidate("bad", brightness_model(threshold=300))


def test_the_best_on_validation_wins_whatever_the_test_set_says() -> None:
    def told(name: str, validation: float, test: float) -> Evaluated:
        return Evaluated(
            dataset="d",
            id=name,
            candidate=name,
            run_id=name,
            validation={"macro_f1": validation},
            test={"macro_f1": test},
        )

    one, two, three = told("one", 0.8, 0.9), told("two", 0.9, 0.1), told("three", 0.9, 0.9)

    assert select.winner([one, two, three], "macro_f1") == two


def test_a_candidate_that_cannot_serve_never_wins() -> None:
    def told(name: str, validation: float, *, servable: bool) -> Evaluated:
        figures = {"macro_f1": validation}
        return Evaluated(
            dataset="d",
            id=name,
            candidate=name,
            run_id=name,
            validation=figures,
            test=figures,
            servable=servable,
        )

    texture, network = told("texture", 0.99, servable=False), told("network", 0.8, servable=True)

    assert select.winner([texture, network], "macro_f1") == network
    with pytest.raises(TrainingError, match="No bundle can be made of texture"):
        select.winner([texture], "macro_f1")


def test_nothing_can_be_chosen_where_every_candidate_was_left_out() -> None:
    with pytest.raises(TrainingError, match="Every candidate was left out"):
        select.winner([], "macro_f1")


def test_the_winner_is_registered_as_challenger_with_a_whole_bundle(
    here: Installation, good: Evaluated, bad: Evaluated
) -> None:
    challenger = here.select(bad, good)

    assert challenger.candidate == "good"
    assert challenger.run_id == good.run_id
    assert not challenger.standing
    holder = versions.holder(here.tracking, here.name, "challenger")
    assert holder is not None
    assert holder.version == challenger.version
    bundle = load_bundle(registry.fetch(here.context, here.name, challenger.version))
    manifest = bundle.manifest
    assert manifest.model_version == challenger.version
    assert manifest.candidate == "good"
    assert manifest.run_id == good.run_id
    assert manifest.snapshot == here.prepared.snapshot
    told = {name: manifest.metrics[name] for name in good.test}
    assert told == pytest.approx(good.test)
    evaluation = read_evaluation(here.tracking, good.run_id)
    assert evaluation is not None
    assert manifest.temperature == evaluation.temperature
    assert manifest.metrics["ece"] == evaluation.calibration["test"].after.ece
    assert bundle.novelty is not None
    assert 0 <= manifest.metrics["abstained"] <= 1


def test_the_bundle_holds_originals_of_each_class_of_the_test_set(
    here: Installation, good: Evaluated
) -> None:
    version = here.select(good).version
    bundle = load_bundle(registry.fetch(here.context, here.name, version))
    originals = {row["content"]: row for row in images(20) if row["split"] == "test"}

    assert sorted(image.label for image in bundle.canary) == ["bright"] * 2 + ["dark"] * 2
    for image in bundle.canary:
        content = (bundle.folder / image.file).read_bytes()
        assert originals[content]["label"] == image.label
        assert decode(content).shape[2] == 3


def test_the_same_winner_again_makes_no_second_version(
    here: Installation, good: Evaluated, bad: Evaluated
) -> None:
    first = here.select(good, bad)

    assert here.select(good, bad) == first
    assert here.select(good) == first


def test_a_winner_that_serves_already_is_standing_and_no_challenger(
    here: Installation, good: Evaluated
) -> None:
    here = here.named("standing")
    version = here.select(good).version
    registry.promote(here.context, here.name)

    again = here.select(good)

    assert again.standing
    assert again.version == version
    assert versions.holder(here.tracking, here.name, "challenger") is None


def test_a_snapshot_that_is_gone_is_named(here: Installation, bad: Evaluated) -> None:
    gone = here.prepared.model_copy(update={"snapshot": "selected/snapshots/0003-gone"})

    with pytest.raises(NotFound, match=gone.snapshot):
        replace(here, prepared=gone).select(bad)
