"""An evaluation leaves all it found in MLflow, and is not made twice."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.evaluation import evaluate
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.metrics import OVERALL
from pipelines.evaluation.record import REPORT, Evaluation, read_evaluation, read_predictions
from pipelines.outputs import Evaluated, Prepared, Trained
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking.client import open_tracking
from tests.pipelines.data.recorded import members_of

Installation = tuple[DatasetSpec, Context, Prepared, Trained]


@pytest.fixture(scope="module")
def evaluated(installation_with_runs: Installation) -> Evaluated:
    """The first evaluation."""
    return evaluate.run(*installation_with_runs)


def test_the_figures_are_those_of_the_predictions_on_each_split(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    _, context, prepared, trained = installation_with_runs
    tracking = open_tracking(context.settings)
    for split, said in (("validation", evaluated.validation), ("test", evaluated.test)):
        rows = read_predictions(tracking, trained.run_id, split)  # type: ignore[arg-type]
        right = rows["predicted"] == rows["label"]
        assert len(rows) == prepared.rows[split]  # type: ignore[index]
        assert said["accuracy"] == pytest.approx(right.mean())
        by_class = right.groupby(rows["label"]).mean()
        assert said["macro_sensitivity"] == pytest.approx(by_class.mean())
    assert set(evaluated.test) == set(OVERALL)
    assert evaluated.test["accuracy"] == pytest.approx(7 / 8)


def test_every_image_stands_in_the_predictions_with_what_was_said(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    spec, context, prepared, _ = installation_with_runs
    rows = read_predictions(open_tracking(context.settings), evaluated.run_id, "test")
    told = pd.DataFrame(members_of(context, prepared.split))
    told = told[told["split"] == "test"].set_index("sha256")

    assert set(rows["sha256"]) == set(told.index)
    probabilities = rows[[f"probability.{name}" for name in spec.class_names]]
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(1)
    assert (probabilities.idxmax(axis=1) == "probability." + rows["predicted"]).all()
    for row in rows.to_dict("records"):
        expected = told.loc[str(row["sha256"])]
        assert expected["source_path"] == row["source_path"]
        assert expected["cluster"] == row["group"]
        assert expected["label"] == row["label"]


def test_figures_with_intervals_and_pictures_stand_in_the_run(
    installation_with_runs: Installation, evaluated: Evaluated, tmp_path: Path
) -> None:
    _, context, _, _ = installation_with_runs
    tracking = open_tracking(context.settings)
    found = read_evaluation(tracking, evaluated.run_id)
    run = tracking.client.get_run(evaluated.run_id)

    assert found is not None
    low, high = found.splits["test"].intervals["accuracy"]
    assert low <= evaluated.test["accuracy"] <= high
    assert low < high
    assert sum(map(sum, found.splits["test"].confusion)) == found.splits["test"].images
    assert run.data.metrics["test.accuracy"] == pytest.approx(evaluated.test["accuracy"])
    assert {"test.sensitivity.dark", "validation.macro_f1"} <= set(run.data.metrics)
    assert "| accuracy |" in run.data.tags["mlflow.note.content"]
    pictures = ("confusion_matrix", "roc", "precision_recall", "gradcam")
    for name in (*pictures, "reliability", "risk_coverage"):
        file = tracking.download(evaluated.run_id, f"figures/{name}.png", target=tmp_path)
        assert file.stat().st_size > 5_000


def test_predictions_are_calibrated_on_validation_and_the_run_says_by_how_much(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    spec, context, _, _ = installation_with_runs
    tracking = open_tracking(context.settings)
    found = read_evaluation(tracking, evaluated.run_id)
    metrics = tracking.client.get_run(evaluated.run_id).data.metrics
    assert found is not None
    validation = found.calibration["validation"]

    # the model is sure of all, and wrong on the image with a wrong label
    assert found.temperature > 1
    assert validation.after.nll < validation.before.nll
    assert metrics["temperature"] == pytest.approx(found.temperature)
    assert metrics["validation.nll"] == pytest.approx(validation.after.nll)
    assert metrics["validation.nll_uncalibrated"] == pytest.approx(validation.before.nll)
    rows = read_predictions(tracking, evaluated.run_id, "test")
    logits = rows[[f"logit.{name}" for name in spec.class_names]].to_numpy()
    said = rows[[f"probability.{name}" for name in spec.class_names]].to_numpy()
    assert said == pytest.approx(softmax(logits, found.temperature), abs=1e-6)
    assert found.answered["100%"] == pytest.approx(evaluated.test["accuracy"])
    note = tracking.client.get_run(evaluated.run_id).data.tags["mlflow.note.content"]
    assert f"Temperature {found.temperature:.3f}" in note


def test_an_evaluation_of_before_calibration_is_read_and_made_again(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    spec, context, prepared, trained = installation_with_runs
    tracking = open_tracking(context.settings)
    older = tracking.read_json(trained.run_id, REPORT) | {"id": "of older code"}
    for name in ("temperature", "calibration", "answered"):
        del older[name]
    tracking.upload_json(trained.run_id, REPORT, older)

    assert evaluate.run(spec, context, prepared, trained) == evaluated

    again = read_evaluation(tracking, trained.run_id)
    assert again is not None
    assert again.temperature > 1


def test_a_finished_evaluation_is_not_made_again(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    spec, context, prepared, trained = installation_with_runs
    tracking = open_tracking(context.settings)
    history = tracking.client.get_metric_history(trained.run_id, "test.accuracy")

    assert evaluate.run(spec, context, prepared, trained) == evaluated

    assert tracking.client.get_metric_history(trained.run_id, "test.accuracy") == history


def test_an_evaluation_by_other_code_is_made_again(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    spec, context, prepared, trained = installation_with_runs
    tracking = open_tracking(context.settings)
    older = tracking.read_json(trained.run_id, REPORT) | {"id": "of older code"}
    tracking.upload_json(trained.run_id, REPORT, older)

    assert evaluate.run(spec, context, prepared, trained) == evaluated


def test_a_sensitivity_that_is_asked_for_gives_thresholds_and_what_they_change(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    plain, context, prepared, trained = installation_with_runs
    asked = {
        "classes": [c.model_dump() | {"finding": c.name == "dark"} for c in plain.classes],
        "operating": {"finding_sensitivity": 0.99},
    }
    spec = DatasetSpec.model_validate(plain.model_dump() | asked)
    tracking = open_tracking(context.settings)

    again = evaluate.run(spec, context, prepared, trained)

    found = read_evaluation(tracking, trained.run_id)
    assert found is not None
    assert again.id != evaluated.id
    # one bright image for validation is said to be dark, so nearly all must be called so
    assert found.thresholds is not None
    assert found.thresholds["dark"] < 0.5 < found.thresholds["bright"]
    name = "sensitivity.any_finding"
    assert found.likeliest["validation"].figures[name] == pytest.approx(4 / 5)
    assert found.splits["validation"].figures[name] == 1
    # as served everywhere: figures handed on, metrics, predictions; argmax beside them, named so
    served, argmax = (one["test"].figures["accuracy"] for one in (found.splits, found.likeliest))
    assert served != argmax
    assert again.test["accuracy"] == pytest.approx(served)
    run = tracking.client.get_run(trained.run_id)
    assert run.data.metrics["test.accuracy"] == pytest.approx(served)
    assert run.data.metrics["test.accuracy_argmax"] == pytest.approx(argmax)
    assert "test.auroc.dark_argmax" not in run.data.metrics
    assert found.decided_by in run.data.tags["mlflow.note.content"]
    rows = read_predictions(tracking, trained.run_id, "test")
    assert (rows["predicted"] == rows["label"]).mean() == pytest.approx(served)
    assert found.evidence["labels"].figures["accuracy"] == pytest.approx(served)
    assert found.evidence["mistakes"].figures["count"] == round((1 - served) * len(rows))


def test_an_evaluation_of_older_code_is_read_with_the_served_figures_first(
    installation_with_runs: Installation, evaluated: Evaluated
) -> None:
    _, context, _, _ = installation_with_runs
    said = open_tracking(context.settings).read_json(evaluated.run_id, REPORT)
    served, argmax = ({"test": said["splits"]["test"] | {"images": n}} for n in (1, 2))
    older = {**said, "splits": argmax, "operating": served}
    del older["likeliest"]

    found = Evaluation.model_validate(older)

    assert (found.splits["test"].images, found.likeliest["test"].images) == (1, 2)
    plain = Evaluation.model_validate({**older, "operating": {}})
    assert (plain.splits["test"].images, plain.likeliest) == (2, {})
