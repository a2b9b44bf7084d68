"""Learning curves and cross-validation train on parts, judge on what was held out, and resume."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pipelines.errors import SpecError
from pipelines.outputs import Prepared
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.studies import cross_validation, learning_curve, power_law
from pipelines.studies.cross_validation import CrossValidation
from pipelines.studies.learning_curve import LearningCurve
from pipelines.studies.study import PARENT
from pipelines.tracking.client import open_tracking
from tests.pipelines.data.small_collection import images
from tests.pipelines.studies.tiny import TINY, tiny_spec
from tests.pipelines.tracked import prepare_small, spec_of, tracked_context


@pytest.fixture(scope="module")
def here(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Context:
    return tracked_context(mlflow_server, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    return tiny_spec("parts", learning_rate=0.01)


@pytest.fixture(scope="module")
def prepared(here: Context, spec: DatasetSpec) -> Prepared:
    return prepare_small(here, spec, rows=images(per_class=15))


@pytest.fixture(scope="module")
def curve(here: Context, spec: DatasetSpec, prepared: Prepared) -> Iterator[LearningCurve]:
    """Two trainings of each size, and a law that is content with them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (learning_curve, power_law):
            patch.setattr(module, "LEAST_REPEATS", 2)
        yield learning_curve.run(spec, here, prepared, "tiny", shares=(0.3, 1.0), repeats=2)


@pytest.fixture(scope="module")
def found(here: Context, spec: DatasetSpec, prepared: Prepared) -> CrossValidation:
    return cross_validation.run(spec, here, prepared, "tiny", folds=2, repeats=1)


def children(context: Context, spec: DatasetSpec, run_id: str) -> list[Any]:
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    return list(tracking.client.search_runs([experiment], f"tags.`{PARENT}` = '{run_id}'"))


def test_a_learning_curve_trains_on_ever_more_and_judges_on_validation(
    here: Context, spec: DatasetSpec, prepared: Prepared, curve: LearningCurve
) -> None:
    assert [size.images for size in curve.sizes] == [6, prepared.rows["train"]]
    trained = [one for size in curve.sizes for one in size.trained]
    assert {one.held_out for one in trained} == {prepared.rows["validation"]}
    for size in curve.sizes:
        assert size.value == pytest.approx(np.mean([o.figures["macro_f1"] for o in size.trained]))
        assert size.interval is not None
        assert size.interval.low <= size.value <= size.interval.high
    assert curve.doubled == 2 * prepared.rows["train"]
    assert curve.exponent_interval is not None
    assert curve.value_if_doubled is not None
    runs = {run.info.run_id for run in children(here, spec, curve.run_id)}
    assert runs == {one.run_id for one in trained}
    assert len(runs) == 4
    assert open_tracking(here.settings).has_artifact(curve.run_id, "figures/learning_curve.png")


def test_a_flat_curve_is_not_said_to_rise(curve: LearningCurve) -> None:
    flat = curve.model_copy(update={"exponent_interval": (-0.1, 0.2)})
    rising = LearningCurve.model_validate(
        curve.model_dump() | {"exponent_interval": (0.1, 0.4), "value_if_doubled": (0.91, 0.95)}
    )

    flat = LearningCurve.model_validate(flat.model_dump())
    assert "cannot be told from a flat one" in flat.said
    assert "still rises" in rising.said
    assert "between 0.910 and 0.950" in rising.said
    unknown = rising.model_copy(update={"exponent_interval": None, "repeats": 2})
    assert "still rises" not in unknown.said
    assert "trained 2 times" in unknown.said


def test_each_fold_is_judged_on_images_it_was_not_trained_on(
    here: Context, spec: DatasetSpec, prepared: Prepared, found: CrossValidation
) -> None:
    from pipelines.evaluation.record import read_predictions

    tracking = open_tracking(here.settings)
    judged = [read_predictions(tracking, one.run_id, "test") for one in found.trained]
    names = [set(rows["source_path"]) for rows in judged]

    assert names[0].isdisjoint(names[1])
    assert len(names[0] | names[1]) == prepared.rows["train"] + prepared.rows["validation"]
    for one in found.trained:
        assert one.held_out + one.images < prepared.rows["train"] + prepared.rows["validation"]
    accuracies = [one.figures["accuracy"] for one in found.trained]
    assert found.means["accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert len(children(here, spec, found.run_id)) == 2
    assert tracking.has_artifact(found.run_id, "figures/folds.png")


def test_the_test_set_is_not_asked(
    here: Context, prepared: Prepared, curve: LearningCurve, found: CrossValidation
) -> None:
    from pipelines.data.input.cache import fetch
    from pipelines.evaluation.record import read_predictions

    data = fetch(here, prepared)
    kept = {image for batch in data.split("test").batches(99) for image in batch.ids}
    tracking = open_tracking(here.settings)
    judged = [(one, "validation") for size in curve.sizes for one in size.trained]
    judged += [(one, "test") for one in found.trained]
    for one, split in judged:
        rows = read_predictions(tracking, one.run_id, split)  # type: ignore[arg-type]
        assert kept.isdisjoint(rows["sha256"])


def test_a_study_that_is_done_is_not_done_again(
    here: Context,
    spec: DatasetSpec,
    prepared: Prepared,
    curve: LearningCurve,
    found: CrossValidation,
) -> None:
    again = learning_curve.run(spec, here, prepared, "tiny", shares=(0.3, 1.0), repeats=2)

    assert again == curve
    assert cross_validation.run(spec, here, prepared, "tiny", folds=2, repeats=1) == found
    assert not list((here.settings.work / "studies").glob("*/*"))


def test_a_study_that_was_cut_off_goes_on_with_what_is_missing(
    here: Context, spec: DatasetSpec, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny_spec(spec.name, epochs=1)
    real = learning_curve._judge

    def cut_off(*_: Any, **__: Any) -> LearningCurve:
        raise KeyboardInterrupt

    monkeypatch.setattr(learning_curve, "_judge", cut_off)
    with pytest.raises(KeyboardInterrupt):
        learning_curve.run(other, here, prepared, "tiny", shares=(0.3, 1.0), repeats=1)
    monkeypatch.setattr(learning_curve, "_judge", real)
    monkeypatch.setattr(learning_curve, "train_and_judge", cut_off)

    curve = learning_curve.run(other, here, prepared, "tiny", shares=(0.3, 1.0), repeats=1)

    run = open_tracking(here.settings).client.get_run(curve.run_id)
    assert run.info.status == "FINISHED"


REGRESSION = {
    "name": "linear",
    "model": "logistic",
    "recipe": "logistic",
    "weights": None,
    "logistic": {"features": "pixels"},
}
TAUGHT = TINY | {"name": "taught", "teachers": ["tiny"]}


@pytest.mark.parametrize(
    ("other", "made_of"),
    [(REGRESSION, "features of all images"), (TAUGHT, r"other candidates \(tiny\)")],
    ids=["regression", "taught"],
)
def test_what_is_not_one_network_is_refused(
    here: Context, prepared: Prepared, other: dict[str, Any], made_of: str
) -> None:
    spec = spec_of("refused", candidates=[TINY, other])

    with pytest.raises(SpecError, match=made_of):
        learning_curve.run(spec, here, prepared, str(other["name"]))
    with pytest.raises(SpecError, match=made_of):
        cross_validation.run(spec, here, prepared, str(other["name"]))
