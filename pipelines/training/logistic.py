"""Recipe ``logistic``: a regression on features that Spark has computed of every image.

Says how far it gets without training a network: on what a pretrained one sees (``deep``), on
handmade numbers (``texture``), or on the shades themselves (``pixels``).
"""

import itertools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from pipelines.data.prepare.keys import placed
from pipelines.evaluation.calibration import softmax
from pipelines.features import extract
from pipelines.features.extract import Described
from pipelines.features.network import Backbone
from pipelines.outputs import Features, Prepared, SplitName
from pipelines.progress import track
from pipelines.spark.session import spark_session
from pipelines.spec import CandidateSpec, DatasetSpec
from pipelines.spec.logistic import LogisticSpec
from pipelines.stage import Context
from pipelines.training import linear
from pipelines.training.balance import class_weights, require_every_class
from pipelines.training.linear import Linear, Penalty

if TYPE_CHECKING:
    import keras
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

HELD_OUT: tuple[SplitName, ...] = ("validation", "test")


@dataclass(frozen=True)
class Trial:
    """One setting that was tried."""

    penalty: Penalty
    steps: int
    """Of the optimiser."""
    loss: float
    """Cross-entropy on the validation split, weighted as in training."""
    linear: Linear


@dataclass(frozen=True)
class Regression:
    """A finished training."""

    described: Described
    """The features of every image."""
    trials: tuple[Trial, ...]
    seconds: float

    @property
    def best(self) -> Trial:
        """The one with the least loss on the validation split; the first of equals."""
        return min(self.trials, key=lambda trial: trial.loss)


def train(
    spec: DatasetSpec, context: Context, prepared: Prepared, chosen: CandidateSpec
) -> Regression:
    """Fit a candidate's regression for each of its settings.

    Raises:
        TrainingError: a class has no training image.
        WeightsError: the weights of the network that describes the images cannot be had.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    assert chosen.logistic is not None
    began = time.monotonic()
    kind = chosen.logistic.features
    backbone = Backbone.of(chosen) if kind == "deep" else None
    rows = placed(context.store, prepared)
    with spark_session(context.settings, name=f"logistic {spec.name}") as spark:
        features = extract.run(context, prepared, rows, kind=kind, backbone=backbone)
        described = extract.read(context, features, rows)
        weights = _class_weights(described, spec.class_names, chosen)
        learning = rows.filter(pc.field("split") == "train")
        frame = extract.frame(spark, context, features, learning)
        vectors = linear.vectors(frame, values="values", weights=weights.tolist())
        trials = _fit(vectors, features, described, chosen.logistic, weights=weights)
    return Regression(described, trials, time.monotonic() - began)


def answers(regression: Regression, classes: tuple[str, ...]) -> pd.DataFrame:
    """What a regression says about the held-out images: see `evaluation.answers.log_answers`."""
    parts = []
    for split in HELD_OUT:
        described = regression.described.of(split)
        logits = regression.best.linear.logits(described.values).astype(np.float32)
        named = {f"logit.{name}": logits[:, i] for i, name in enumerate(classes)}
        parts.append(described.images[["split", "sha256", "source_path"]].assign(**named))
    return pd.concat(parts, ignore_index=True)


def as_network(chosen: CandidateSpec, fitted: Linear, *, size: int, classes: int) -> "keras.Model":
    """The network that described the images, with the regression as its head: the same answers,
    and a model that is exported, served and explained like any other.

    Args:
        chosen: the candidate, on ``deep`` features.
        fitted: its regression.
        size: side of the images in pixels.
        classes: how many there are.
    """
    import keras

    from pipelines.models.head import LOGITS, feature_extractor

    body = feature_extractor(Backbone.of(chosen).build(size=size, classes=classes))
    logits = keras.layers.Dense(classes, name=LOGITS)(body.output)
    probabilities = keras.layers.Activation("softmax", name="probabilities")(logits)
    model = keras.Model(body.input, probabilities, name=f"{chosen.model}_logistic")
    model.get_layer(LOGITS).set_weights([fitted.kernel, fitted.bias])
    return model


def _class_weights(
    described: Described, classes: tuple[str, ...], chosen: CandidateSpec
) -> NDArray[np.float32]:
    labels = described.of("train").labels.astype(np.int32)
    require_every_class(labels, classes)
    if chosen.balance == "none":
        return np.ones(len(classes), np.float32)
    return class_weights(labels, len(classes))


def _fit(
    rows: "DataFrame",
    features: Features,
    described: Described,
    settings: LogisticSpec,
    *,
    weights: NDArray[np.float32],
) -> tuple[Trial, ...]:
    directions = None
    if settings.features == "pixels":
        shorter, directions = linear.reduced(rows, settings.components)
        rows.unpersist()
        rows = shorter
    grid = [
        Penalty(regularisation, elastic_net, settings.iterations)
        for regularisation, elastic_net in itertools.product(
            settings.regularisation, settings.elastic_net
        )
    ]
    judge = described.of("validation")
    what = f"Fitting {features.kind} features of {features.dataset}"
    trials = tuple(
        _trial(rows, penalty, directions, judge, weights=weights)
        for penalty in track(grid, total=len(grid), what=what)
    )
    rows.unpersist()
    return trials


def _trial(
    rows: "DataFrame",
    penalty: Penalty,
    directions: NDArray[np.float64] | None,
    judge: Described,
    *,
    weights: NDArray[np.float32],
) -> Trial:
    found, steps = linear.fit(rows, penalty)
    if directions is not None:
        found = Linear(directions @ found.kernel, found.bias)
    loss = log_loss(
        judge.labels,
        softmax(found.logits(judge.values), 1),
        sample_weight=weights[judge.labels],
        labels=range(len(weights)),
    )
    logger.info("%s: validation loss %.4f", penalty, loss)
    return Trial(penalty, steps, float(loss), found)
