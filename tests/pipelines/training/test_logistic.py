"""Logistic regressions on features from Spark, as candidates of the loop."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipelines.data.input.cache import fetch
from pipelines.errors import TrainingError
from pipelines.evaluation import evaluate
from pipelines.evaluation.answers import has_answers, read_answers
from pipelines.evaluation.head import dense_head
from pipelines.evaluation.network import Network
from pipelines.evaluation.predictions import labels_of, logits_of, predict
from pipelines.outputs import Evaluated, Prepared, Trained
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.keras_models import fetch_model
from pipelines.training import candidate, logistic
from tests.pipelines.data.small_collection import images, small_spec
from tests.pipelines.tracked import prepare_small, spec_of, tracked_context

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("spark")

QUICK = {"iterations": 30, "regularisation": [0.01], "elastic_net": [0.0]}


def on(features: str, **settings: object) -> dict[str, object]:
    network = "efficientnet_lite0" if features == "deep" else "logistic"
    block = {"features": features} | QUICK | settings
    return {"name": features, "model": network, "recipe": "logistic", "logistic": block}


SPEC = spec_of(
    "regressed",
    image={"size": 64},  # of smaller pictures, the deep features are all zero
    candidates=[
        on("deep"),
        on("texture", regularisation=[5.0, 0.01]),
        on("pixels", components=5),
    ],
)


@pytest.fixture(scope="module")
def there(
    spark: "SparkSession", mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Context:
    assert spark.getActiveSession() is not None
    return tracked_context(mlflow_server, tmp_path_factory.mktemp("regressed"))


@pytest.fixture(scope="module")
def prepared(there: Context) -> Prepared:
    return prepare_small(there, SPEC)


@pytest.fixture(scope="module")
def tracking(there: Context) -> Tracking:
    return open_tracking(there.settings)


@pytest.fixture(scope="module")
def deep(there: Context, prepared: Prepared) -> Trained:
    return candidate.run(SPEC, there, prepared, "deep")


@pytest.fixture(scope="module")
def texture(there: Context, prepared: Prepared) -> Trained:
    return candidate.run(SPEC, there, prepared, "texture")


@pytest.fixture(scope="module")
def judged(there: Context, prepared: Prepared, texture: Trained) -> Evaluated:
    return evaluate.run(SPEC, there, prepared, texture)


def test_a_regression_on_deep_features_is_a_network_that_answers_the_same(
    there: Context, prepared: Prepared, tracking: Tracking, deep: Trained
) -> None:
    done = logistic.train(SPEC, there, prepared, SPEC.candidate("deep"))
    said = logistic.answers(done, SPEC.class_names)
    data = fetch(there, prepared)
    file = fetch_model(tracking, deep.run_id, cache=there.settings.cache)
    asked = predict(Network.load(file), data, ("validation", "test"))
    both = asked.merge(said, on=["split", "sha256", "source_path"], suffixes=("", ".said"))
    for name in SPEC.class_names:
        np.testing.assert_allclose(both[f"logit.{name}"], both[f"logit.{name}.said"], atol=1e-2)
    likeliest = logits_of(asked, SPEC.class_names).argmax(axis=1)
    assert (likeliest == labels_of(asked, SPEC.class_names)).mean() > 0.9
    assert not has_answers(tracking, deep.run_id)


def test_its_head_is_one_dense_layer_that_grad_cam_reads_in_closed_form(
    there: Context, tracking: Tracking, deep: Trained
) -> None:
    import keras

    file = fetch_model(tracking, deep.run_id, cache=there.settings.cache)
    model = keras.saving.load_model(file, compile=False)
    [(kernel, bias)] = dense_head(model)
    assert kernel.shape == (1280, 2)
    np.testing.assert_allclose(kernel, model.get_layer("logits").get_weights()[0], atol=1e-5)
    assert bias.shape == (2,)


def test_a_regression_on_texture_is_judged_by_its_answers_and_cannot_serve(
    tracking: Tracking, texture: Trained, judged: Evaluated
) -> None:
    assert not judged.servable
    assert judged.test["accuracy"] > 0.9
    metrics = tracking.client.get_run(texture.run_id).data.metrics
    assert metrics["test.accuracy"] == judged.test["accuracy"]
    figures = {Path(path).name for path in tracking.artifacts(texture.run_id, "figures")}
    assert {"feature_importance.png", "confusion_matrix.png", "roc.png"} <= figures
    assert "gradcam.png" not in figures


def test_a_standing_evaluation_still_cannot_serve(
    there: Context, prepared: Prepared, texture: Trained, judged: Evaluated
) -> None:
    assert evaluate.run(SPEC, there, prepared, texture) == judged


def test_the_penalty_with_the_least_validation_loss_is_kept(
    tracking: Tracking, texture: Trained
) -> None:
    report = tracking.read_json(texture.run_id, "logistic/regression.json")
    assert [trial["regularisation"] for trial in report["tried"]] == [5.0, 0.01]
    assert report["kept"]["regularisation"] == 0.01
    assert report["kept"] == min(report["tried"], key=lambda trial: trial["validation_loss"])


def test_a_regression_on_pixels_answers_for_every_held_out_image(
    there: Context, prepared: Prepared, tracking: Tracking
) -> None:
    trained = candidate.run(SPEC, there, prepared, "pixels")
    data = fetch(there, prepared)
    rows = read_answers(tracking, trained.run_id, data, ("validation", "test"))
    assert len(rows) == prepared.rows["validation"] + prepared.rows["test"]
    likeliest = logits_of(rows, data.classes).argmax(axis=1)
    assert (likeliest == labels_of(rows, data.classes)).mean() > 0.9
    assert logits_of(rows, data.classes).shape == (len(rows), 2)


def test_a_class_without_a_training_image_is_named(context: Context) -> None:
    rows = [r for r in images() if r["label"] == "bright" or r["split"] != "train"]
    spec = small_spec(candidates=[on("texture")])
    lacking = prepare_small(context, spec, rows=rows)
    with pytest.raises(TrainingError, match="No training image shows 'dark'"):
        logistic.train(spec, context, lacking, spec.candidate("texture"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "small_cnn"}, "write 'model: logistic'"),
        ({"logistic": None}, "go together"),
        ({"mixup": 0.2}, "mixup means nothing"),
        ({"balance": "class_sampling"}, "use 'class_weights' or 'none'"),
        ({"logistic": {"features": "deep"}}, "need the pretrained network"),
        ({"logistic": {"features": "texture", "regularisation": []}}, "at least 1 item"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small_spec(candidates=[on("texture") | change])


def test_a_spec_of_logistic_candidates_alone_is_valid() -> None:
    assert isinstance(small_spec(candidates=[on("deep")]), DatasetSpec)
