"""The gate on real runs, bundles and a champion."""

import hashlib
import io
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BundleError, ChampionChanged
from pipelines.outputs import Challenger, Evaluated, Release, Verdict
from pipelines.release import gate, promotion, registry
from pipelines.release.bundle import MANIFEST, file_digests, read_manifest, write_manifest
from pipelines.release.report import Judgement, place
from pipelines.retention import prune
from pipelines.settings import Settings
from pipelines.spec import GateSpec
from pipelines.spec.operations import ApprovalSpec
from pipelines.tracking import versions
from tests.pipelines.data.small_collection import Row, images
from tests.pipelines.release.installation import Installation, install
from tests.pipelines.tracked import brightness_model, prepare_small, spec_of

YEARS = 10 * 365 * 86_400
"""In seconds."""
SMALL = ", as far as this test set can tell"
LENIENT = {
    "max_sensitivity_drop": 1.0,
    "max_metric_drop": 1.0,
    "min_informedness": None,
    "max_ece": None,
    "min_inside_body": None,
}
"""Nothing is asked of a challenger but its minimums."""
LENIENT_BUT_DROPS = LENIENT | {"max_metric_drop": 0.01}


@pytest.fixture(scope="module")
def installed(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """No candidate yet."""
    return install(mlflow_server, tmp_path_factory.mktemp("gate"), "gated")


@pytest.fixture(scope="module")
def right(installed: Installation) -> Evaluated:
    """A candidate that is always right."""
    return installed.candidate("right")


@pytest.fixture(scope="module")
def half(installed: Installation) -> Evaluated:
    """A candidate that calls everything dark."""
    return installed.candidate("half", brightness_model(threshold=300))


@pytest.fixture(scope="module")
def first(installed: Installation, right: Evaluated) -> Verdict:
    """On the first challenger, which is always right."""
    return installed.judge(installed.select(right))


@pytest.fixture(scope="module")
def here(installed: Installation, first: Verdict) -> Installation:
    """A champion that is always right."""
    registry.promote(installed.context, installed.name, first.version)
    return installed


@pytest.fixture(scope="module")
def worse(here: Installation, half: Evaluated) -> Challenger:
    """A challenger that calls everything dark."""
    return here.select(half)


def judgement(here: Installation, challenger: Challenger) -> Judgement:
    """``verdict.json`` of a challenger."""
    file = place(challenger.version, "verdict.json")
    return Judgement.model_validate(here.tracking.read_json(challenger.run_id, file))


def test_a_first_challenger_is_judged_without_a_champion(first: Verdict) -> None:
    assert first.refusals == []
    assert first.passed
    assert first.champion is None
    assert [rule.rule for rule in first.rules][:4] == [
        "accuracy is at least 0.1",
        "informedness of bright is at least 0.1, and surely above 0",
        "informedness of dark is at least 0.1, and surely above 0",
        "calibration error of the test set is at most 0.1",
    ]
    assert [rule.rule for rule in first.rules][-1:] == [
        "bundle and Keras model agree within 0.001",
    ]


def test_a_worse_challenger_is_refused_with_every_number_and_the_champion_stays(
    here: Installation, worse: Challenger
) -> None:
    before = registry.champion(here.context, here.name)

    verdict = here.judge(worse)

    assert not verdict.passed
    assert verdict.champion == 1
    broken = {rule.rule: rule.value for rule in verdict.rules if not rule.passed}
    assert broken == {
        "informedness of bright is at least 0.1, and surely above 0": 0.0,
        "informedness of dark is at least 0.1, and surely above 0": 0.0,
        "calibration error of the test set is at most 0.1": pytest.approx(0.43, abs=0.01),
        f"macro_f1 is at most 0.01 below version 1{SMALL}": pytest.approx(1 - 1 / 3),
        f"sensitivity of bright is at most 0.05 below version 1{SMALL}": 1,
        "share of the heat on the body is at least 0.5": 0.0,
    }
    told = judgement(here, worse)
    assert told.verdict == verdict
    assert told.images == told.compared_images == 8
    assert told.left_out == 0
    assert told.champion_compared["accuracy"] == 1.0
    assert told.challenger_compared["accuracy"] == 0.5
    assert 0 <= told.bundle_difference < 1e-3
    tags = versions.named(here.tracking, here.name, worse.version).tags
    assert tags["medloop.verdict"] == "refused"
    assert tags["gate: accuracy is at least 0.1"].startswith("0.5000 (0.")
    assert tags["gate: accuracy is at least 0.1"].endswith(" (passed)")
    drop = "gate: sensitivity of bright is at most 0.05 below version 1" + SMALL.replace(",", "")
    assert tags[drop] == "1.0000 (1.0000 to 1.0000) (broken)"
    assert told.differences["accuracy"].value == -0.5
    assert told.differences["accuracy"].high < 0
    tests = {one.figure: one for one in told.tests}
    assert tests["sensitivity.bright"].only_champion == 4
    assert tests["accuracy"].apart.value == -0.5
    assert told.intervals["accuracy"].low < 0.5 < told.intervals["accuracy"].high
    assert registry.champion(here.context, here.name) == before


def test_a_challenger_that_is_worse_for_a_subgroup_is_refused(
    mlflow_server: Settings, tmp_path: Path
) -> None:
    here = install(mlflow_server, tmp_path, "by_sex", rows=[_of_a_sex(r) for r in images(40)])
    here.select(here.candidate("champion", brightness_model(threshold=62)))
    registry.promote(here.context, here.name)

    verdict = here.judge(
        here.select(here.candidate("other", brightness_model())),
        **LENIENT,
        min_subgroup_images=8,
    )

    broken = {rule.rule: rule.value for rule in verdict.rules if not rule.passed}
    assert broken == {f"accuracy of sex: female is at most 0.1 below version 1{SMALL}": 0.5}


def _of_a_sex(row: Row) -> Row:
    """Half of the images are of women, whose bright ones are less bright."""
    female = int(row["source_path"][-7:-4]) // 5 % 2 == 0
    row = row | {"metadata": json.dumps({"sex": "female" if female else "male"})}
    if not female or row["label"] == "dark":
        return row
    pixels = np.asarray(Image.open(io.BytesIO(row["content"]))) // 2
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    content = file.getvalue()
    return row | {"content": content, "sha256": hashlib.sha256(content).hexdigest()}


def test_margins_of_the_spec_decide(here: Installation, worse: Challenger) -> None:
    lenient = here.judge(worse, **LENIENT)
    strict = here.judge(worse, **LENIENT, minimum={"accuracy": 0.6})

    assert lenient.passed
    assert len(strict.refusals) == 1
    assert strict.refusals[0].startswith("accuracy is at least 0.6: 0.5000 (0.")


def test_tags_tell_the_last_verdict_only(here: Installation, worse: Challenger) -> None:
    registry.refuse(here.spec, here.context, here.judge(worse))
    assert "medloop.refused" in versions.named(here.tracking, here.name, worse.version).tags

    here.judge(worse, minimum={"accuracy": 0.4}, **LENIENT)

    tags = versions.named(here.tracking, here.name, worse.version).tags
    assert tags["medloop.verdict"] == "passed"
    assert "medloop.refused" not in tags
    assert [name for name in tags if "accuracy" in name] == ["gate: accuracy is at least 0.4"]


def test_a_challenger_is_also_compared_with_the_best_champion_so_far(
    installed: Installation, right: Evaluated, half: Evaluated
) -> None:
    here = installed.named("chained")
    first = here.version("best", right)
    assert here.judge(first).best is None
    registry.promote(here.context, here.name)
    second = here.version("worse", half)
    assert here.judge(second, **LENIENT).passed
    registry.promote(here.context, here.name)
    # The training set is that of another data set, which has no version that would pin them.
    settings = here.context.settings.model_copy(update={"keep_prepared_days": 0})
    _, fates = prune.run(replace(here.context, settings=settings), now=time.time() + YEARS)
    pins = {fate.item.path: fate.item.pin for fate in fates if "bundles/chained" in fate.item.path}
    assert sorted(map(str, pins.values())) == [
        "version 1: previous champion",
        "version 2: champion",
    ]
    third = here.version("worse too", half)

    verdict = here.judge(third)

    assert (verdict.champion, verdict.best) == (2, 1)
    broken = [rule.rule for rule in verdict.rules if not rule.passed and "below" in rule.rule]
    assert len(broken) == 2
    assert all("below version 1 (the best champion so far)" in rule for rule in broken)
    notes = judgement(here, third).notes
    assert notes[0] == "Also compared with version 1, the best champion so far, on 8 test images."
    assert len([note for note in notes if "too small to tell" in note]) == 3
    assert verdict.notes == [note for note in notes if "too small to tell" in note]

    # a person accepts it all the same, and so lowers the bar
    registry.promote(here.context, here.name, third.version)
    fourth = here.version("as bad", half)
    assert (here.judge(fourth).champion, here.judge(fourth).best) == (3, None)


def test_the_removal_of_the_champions_alias_does_not_open_the_gate(
    installed: Installation, right: Evaluated, half: Evaluated
) -> None:
    here = installed.named("removed")
    here.version("best", right)
    registry.promote(here.context, here.name)
    versions.delete_alias(here.tracking, here.name, "champion")
    worse = here.version("worse", half)

    verdict = here.judge(worse, **LENIENT_BUT_DROPS)

    assert (verdict.passed, verdict.champion, verdict.best) == (False, None, 1)


def test_a_challenger_whose_champion_changed_is_judged_again_before_it_is_promoted(
    installed: Installation, right: Evaluated, half: Evaluated
) -> None:
    here = installed.named("overtaken")
    here.version("half", half)
    registry.promote(here.context, here.name)
    waiting = here.version("half too", half)
    spec = here.spec.model_copy(update={"gate": GateSpec.model_validate(LENIENT_BUT_DROPS)})
    assert gate.run(spec, here.context, here.prepared, waiting).passed
    equal = here.version("equal", half)
    registry.promote(here.context, here.name, equal.version)

    with pytest.raises(ChampionChanged, match="judged against version 1, but version 3 serves"):
        registry.promote(here.context, here.name, waiting.version)
    done = promotion.run(spec, here.context, here.prepared, waiting)
    assert isinstance(done, Release)
    assert (done.champion, done.previous) == (2, 3)

    better = here.version("better", right)
    again = here.version("half again", half)
    assert gate.run(spec, here.context, here.prepared, again).passed
    registry.promote(here.context, here.name, better.version)
    refused = promotion.run(spec, here.context, here.prepared, again)
    assert isinstance(refused, Verdict)
    assert (refused.passed, refused.champion) == (False, better.version)

    approved = spec.model_copy(update={"approval": ApprovalSpec()})
    perfect = here.version("perfect", right)
    assert gate.run(approved, here.context, here.prepared, perfect).passed
    registry.rollback(here.context, here.name)
    asked_again = promotion.run(approved, here.context, here.prepared, perfect)
    assert isinstance(asked_again, Verdict)
    assert asked_again.passed
    champion = registry.champion(here.context, here.name)
    assert champion is not None
    assert champion.version == waiting.version


def test_the_whole_way_is_the_same_on_hdfs(
    mlflow_server: Settings, hdfs: Settings, tmp_path: Path
) -> None:
    store, webhdfs = hdfs.store_root, hdfs.webhdfs
    here = install(mlflow_server, tmp_path, "in_hdfs", store=store, webhdfs_url=webhdfs)
    challenger = here.select(here.candidate("only"))

    assert here.judge(challenger).passed
    assert registry.promote(here.context, here.name).champion == challenger.version


def test_the_same_question_is_not_asked_twice(here: Installation, worse: Challenger) -> None:
    first = here.judge(worse)
    file = place(worse.version, "verdict.json")
    told = here.tracking.read_json(worse.run_id, file) | {"notes": ["seen"]}
    here.tracking.upload_json(worse.run_id, file, told)

    assert here.judge(worse) == first

    assert judgement(here, worse).notes == ["seen"]


def test_test_images_the_champion_learnt_from_are_left_out_on_both_sides(
    here: Installation,
) -> None:
    now = [row | {"split": _moved(row["source_path"], row["split"])} for row in images(20)]
    # a picture of the same patient as one the champion learnt from
    next(r for r in now if r["source_path"] == "bright/004.png")["group"] = "patient-bright-0"
    later = replace(here, prepared=prepare_small(here.context, here.spec, rows=now, identity="two"))
    challenger = later.select(later.candidate("second"))

    verdict = later.judge(challenger)

    told = judgement(later, challenger)
    assert verdict.passed
    assert told.images == 10
    assert told.left_out == 3  # two that moved, one of a known patient
    assert told.compared_images == 7


def _moved(path: str, split: str) -> str:
    """Two training images of the first split are test images of the second."""
    return "test" if path in ("bright/000.png", "dark/001.png") else split


def test_a_champion_that_sees_images_its_own_way_is_asked_with_the_originals(
    here: Installation,
) -> None:
    spec = spec_of(here.name, image={"size": 64})
    larger = replace(here, spec=spec, prepared=prepare_small(here.context, spec, identity="larger"))
    challenger = larger.select(larger.candidate("larger", brightness_model(size=64)))

    larger.judge(challenger)

    told = judgement(larger, challenger)
    assert told.compared_images == 8
    assert told.champion_compared["accuracy"] == 1.0
    assert not [note for note in told.notes if "champion" in note]


def test_a_champion_of_other_classes_is_not_compared_and_that_is_said(
    here: Installation,
) -> None:
    names = {"bright": "light", "dark": "dark"}
    spec = spec_of(here.name, classes=[{"name": n, "title": n} for n in names.values()])
    rows = [row | {"label": names[row["label"]]} for row in images(20)]
    prepared = prepare_small(here.context, spec, rows=rows, identity="renamed")
    renamed = replace(here, spec=spec, prepared=prepared)
    challenger = renamed.select(renamed.candidate("renamed"))

    verdict = renamed.judge(challenger)

    assert verdict.passed
    assert judgement(renamed, challenger).notes[0] == (
        "The champion tells other classes apart (bright, dark)."
    )


def test_a_bundle_of_another_model_than_was_evaluated_is_refused(
    installed: Installation, right: Evaluated, half: Evaluated
) -> None:
    here = installed.named("swapped")
    challenger, worse = here.version("right", right), here.version("half", half)
    good = registry.fetch(here.context, here.name, challenger.version)
    bad = registry.fetch(here.context, here.name, worse.version)
    for file in ("model.xml", "model.bin"):
        shutil.copyfile(bad / file, good / file)
    write_manifest(good, read_manifest(good).model_copy(update={"files": file_digests(good)}))

    verdict = here.judge(challenger)

    assert verdict.refusals[0].startswith("bundle and Keras model agree within 0.001: ")

    shutil.copyfile(bad / "model.keras", good / "model.keras")
    write_manifest(good, read_manifest(good).model_copy(update={"files": file_digests(good)}))

    with pytest.raises(BundleError, match=r"model\.keras is not the file that was evaluated"):
        here.judge(challenger, minimum={"accuracy": 0.2})

    assert (good / MANIFEST).is_file()
