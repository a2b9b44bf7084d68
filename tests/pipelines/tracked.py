"""A small collection with its training set, and candidates of it as runs in a real MLflow."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.outputs import Evaluated, Prepared, Trained
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.storage import open_store
from pipelines.tracking import runs
from pipelines.tracking.client import open_tracking
from pipelines.tracking.keras_models import log_model
from tests.pipelines.data.small_collection import Row, divided, images, small_spec, snapshotted
from tests.pipelines.data.without_spark import prepare_here

if TYPE_CHECKING:
    import keras


def tracked_context(server: Settings, folder: Path, **fields: Any) -> Context:
    """An installation of its own, on a folder, that uses a running MLflow."""
    settings = Settings.model_validate(
        {
            "home": folder / "home",
            "store": (folder / "store").as_uri(),
            "mlflow_uri": server.tracking_uri,
            **fields,
        }
    )
    return Context(settings=settings, store=open_store(settings))


def spec_of(name: str, **changes: Any) -> DatasetSpec:
    """The small collection's spec, under a name of the test's own: MLflow is shared."""
    gate = {"minimum": {"accuracy": 0.1}}
    return small_spec(**({"name": name, "gate": gate} | changes))


def prepare_small(
    context: Context,
    spec: DatasetSpec,
    *,
    rows: list[Row] | None = None,
    identity: str = "one",
    written: list[Row] | None = None,
) -> Prepared:
    """The small collection in the store, up to its training set; prepared without Spark.

    Args:
        context: with a store.
        spec: of the data set.
        rows: the images.
        identity: of the snapshot.
        written: those that are prepared; all if ``None``.
    """
    rows = images(per_class=20) if rows is None else rows
    snapshot = snapshotted(context, rows, identity=f"0002-{identity}")
    output = {"output": snapshot.model_dump(mode="json")}
    context.store.write_json(f"{snapshot.path}/manifest.json", output)
    split = divided(context, snapshot, rows, identity=f"split-{identity}")
    contents = {row["sha256"]: row["content"] for row in written or rows}
    return prepare_here(context, spec, snapshot, split, contents)


def brightness_model(
    *, threshold: float = 105.0, sharpness: float = 0.2, size: int = 32
) -> "keras.Model":
    """A model of the zoo's form that tells bright from dark by the mean level, untrained.

    Args:
        threshold: grey level above which an image is called bright.
        sharpness: how sure it is; negative, and it is wrong.
        size: side of its input in pixels.
    """
    import keras

    image = keras.Input((size, size, 3), name="image")
    x = keras.layers.Conv2D(4, 1, activation="relu", name="features")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dense(4, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    x = keras.layers.Dense(2, name="logits")(x)
    model = keras.Model(image, keras.layers.Activation("softmax", name="probabilities")(x))
    model.get_layer("features").set_weights([np.full((1, 1, 3, 4), 1 / 3), np.zeros(4)])
    model.get_layer("hidden").set_weights([np.eye(4), np.zeros(4)])
    kernel = np.tile([[sharpness / 4, 0.0]], (4, 1))
    model.get_layer("logits").set_weights([kernel, np.array([-sharpness * threshold, 0.0])])
    return model


def trained_as(
    context: Context, spec: DatasetSpec, prepared: Prepared, name: str, model: "keras.Model"
) -> Trained:
    """A model as a finished run of a candidate, as the training stage would leave it."""
    tracking = open_tracking(context.settings)
    experiment = tracking.experiment(spec.name, title=spec.title)
    weights = [weight.tolist() for weight in model.get_weights()]
    identity = fingerprint(
        prepared.id, name, hashlib.sha256(json.dumps(weights).encode()).digest().hex()
    )
    with runs.open_run(tracking, experiment, fingerprint=identity, name=name, tags={}) as run_id:
        log_model(
            tracking, run_id, model, example=np.zeros((1, *model.input_shape[1:]), np.float32)
        )
        runs.set_tags(tracking, run_id, {runs.TRAINED: "true"})
    return Trained(
        dataset=spec.name, id=identity, candidate=name, run_id=run_id, epochs=1, seconds=1
    )


def evaluated_as(
    context: Context, spec: DatasetSpec, prepared: Prepared, name: str, model: "keras.Model"
) -> Evaluated:
    """The same, evaluated."""
    from pipelines.evaluation import evaluate

    return evaluate.run(spec, context, prepared, trained_as(context, spec, prepared, name, model))
