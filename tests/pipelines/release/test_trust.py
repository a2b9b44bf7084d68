"""A bundle says how often its model abstains, and what that buys."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.data.input.training_set import Batch
from pipelines.evaluation.calibration import softmax
from pipelines.release.bundle import BundleManifest, load_bundle
from pipelines.release.runtime import Runtime, Tuning, open_runtime
from pipelines.release.trust import abstention_figures, learn_novelty
from pipelines.spec import AbstentionSpec
from tests.pipelines.release.models import CLASSES, pictures


def relying(bundle_folder: Path, **rules: float) -> BundleManifest:
    """A manifest that abstains only from what is unlike the training images, or as told."""
    relaxed = AbstentionSpec.model_validate({"min_confidence": 0, "min_contrast": 0} | rules)
    return load_bundle(bundle_folder).manifest.model_copy(
        update={"abstention": relaxed, "temperature": 1}
    )


@pytest.fixture(scope="module")
def runtime(bundle_folder: Path) -> Runtime:
    return open_runtime(load_bundle(bundle_folder), "openvino", Tuning(threads=1))


def test_shares_and_accuracies_are_those_of_the_images_under_the_least_confidence(
    bundle_folder: Path, runtime: Runtime
) -> None:
    novelty = load_bundle(bundle_folder).novelty
    assert novelty is not None
    images = np.concatenate([b.images for b in pictures("test")]).astype(np.float32)
    labels = np.concatenate([b.labels for b in pictures("test")])
    outputs = runtime.run(images)
    answers = softmax(outputs["logits"], 2.0)
    least = float(np.median(answers.max(axis=1)))
    unsure = answers.max(axis=1) < least
    unlike = novelty.unlikeness(outputs["features"]) > 1
    right = answers.argmax(axis=1) == labels

    manifest = relying(bundle_folder, min_confidence=least).model_copy(update={"temperature": 2.0})
    found = abstention_figures(runtime, pictures("test"), manifest=manifest, novelty=novelty)

    assert 0.4 < unsure.mean() < 0.6
    assert found["abstained"] == pytest.approx((unsure | unlike).mean())
    assert found["abstained.low_confidence"] == pytest.approx(unsure.mean())
    assert found.get("abstained.unlike_training_data", 0) == pytest.approx(unlike.mean())
    assert found["accuracy_answered"] == pytest.approx(right[~(unsure | unlike)].mean())
    assert found["accuracy_abstained"] == pytest.approx(right[unsure | unlike].mean())


def test_the_class_that_thresholds_decide_for_is_the_one_that_must_be_right(
    bundle_folder: Path, runtime: Runtime
) -> None:
    novelty = load_bundle(bundle_folder).novelty
    assert novelty is not None
    always = {"clear": 0.999, "spot": 1e-6, "haze": 0.999}
    manifest = relying(bundle_folder).model_copy(update={"thresholds": always})
    endless = replace(novelty, limit=float("inf"))

    found = abstention_figures(runtime, pictures("test"), manifest=manifest, novelty=endless)

    labels = np.concatenate([b.labels for b in pictures("test")])
    assert found["accuracy_answered"] == pytest.approx((labels == CLASSES.index("spot")).mean())


def test_pictures_of_another_kind_are_abstained_from(bundle_folder: Path, runtime: Runtime) -> None:
    novelty = learn_novelty(runtime, pictures("train"), pictures("validation"), false_alarms=0.05)

    def stripes() -> Iterator[Batch]:
        for batch in pictures("test"):
            drawn = np.zeros_like(batch.images)
            drawn[:, ::2, :, 0] = 255
            yield batch._replace(images=drawn)

    clean, strange = (
        abstention_figures(runtime, images, manifest=relying(bundle_folder), novelty=novelty)
        for images in (pictures("test"), stripes())
    )

    assert clean["abstained"] < 0.2
    assert strange["abstained"] == strange["abstained.unlike_training_data"] == 1
    assert "accuracy_answered" not in strange
