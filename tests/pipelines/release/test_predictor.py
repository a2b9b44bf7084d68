"""A bundle that does not answer as it says is refused; one that does answers well."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import BundleError
from pipelines.release.bundle import (
    EXPECTED,
    IR_WEIGHTS,
    NOVELTY,
    BundleManifest,
    file_digests,
    read_manifest,
    write_manifest,
)
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.spec import AbstentionSpec
from tests.serving.bundles import CLASSES, encoded, make_bundle, png


def _open(folder: Path, cache: Path) -> Predictor:
    return open_predictor(folder, "openvino", cache=cache, threads=1)


def _change(folder: Path, **fields: object) -> BundleManifest:
    manifest = read_manifest(folder).model_copy(update={"files": file_digests(folder), **fields})
    write_manifest(folder, manifest)
    return manifest


def test_an_altered_bundle_is_refused(tmp_path: Path, cache: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    weights = folder / IR_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleError, match=r"model\.bin"):
        _open(folder, cache)


def test_a_bundle_that_answers_its_canary_otherwise_is_refused(tmp_path: Path, cache: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    expected = json.loads((folder / EXPECTED).read_text("utf-8"))
    expected[1]["probabilities"] = dict.fromkeys(CLASSES, 1 / 3)
    (folder / EXPECTED).write_text(json.dumps(expected), "utf-8")
    _change(folder)
    with pytest.raises(BundleError, match=r"canary/spot-0.png.* differs by"):
        _open(folder, cache)


def test_a_bundle_without_canary_images_is_refused(tmp_path: Path, cache: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    (folder / EXPECTED).write_text("[]", "utf-8")
    _change(folder)
    with pytest.raises(BundleError, match="no canary images"):
        _open(folder, cache)


def test_a_model_that_openvino_cannot_read_is_refused(tmp_path: Path, cache: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    (folder / "model.xml").write_text("<net></net>", "utf-8")
    _change(folder)
    with pytest.raises(BundleError, match="openvino cannot load it"):
        _open(folder, cache)


def test_a_temperature_softens_but_keeps_the_order(predictor: Predictor) -> None:
    manifest = predictor.bundle.manifest.model_copy(update={"temperature": 3.0})
    softened = replace(predictor, bundle=replace(predictor.bundle, manifest=manifest))
    sharp, soft = predictor.read(png()).probabilities, softened.read(png()).probabilities
    assert soft.sum() == pytest.approx(1, abs=1e-5)
    assert soft.max() < sharp.max()
    assert (np.argsort(soft) == np.argsort(sharp)).all()


def test_thresholds_decide(predictor: Predictor) -> None:
    reading = predictor.read(png())
    second = CLASSES[int(np.argsort(reading.probabilities)[-2])]
    thresholds = dict.fromkeys(CLASSES, 0.5) | {second: 1e-9}
    manifest = predictor.bundle.manifest.model_copy(update={"thresholds": thresholds})
    strict = replace(predictor, bundle=replace(predictor.bundle, manifest=manifest))
    found = strict.read(png())
    assert CLASSES[found.best] == second
    # abstention must not cancel what the threshold gained: the answer is unlikely, and certain
    assert found.shares[found.best] < 0.5 < 0.99 < found.certainty
    assert "low_confidence" not in [reason.code for reason in found.doubts]


def test_a_threshold_for_every_class_is_required(tmp_path: Path, cache: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    _change(folder, thresholds={"spot": 0.5})
    with pytest.raises(BundleError, match="thresholds need 'clear'"):
        _open(folder, cache)


def _doubts(folder: Path, cache: Path, image: bytes, **fields: object) -> dict[str, str]:
    _change(folder, **fields)
    return {reason.code: reason.message for reason in _open(folder, cache).read(image).doubts}


LENIENT = AbstentionSpec(min_confidence=0, min_contrast=0, min_side=1)


def test_an_image_such_as_the_model_learnt_from_is_relied_on(tmp_path: Path, cache: Path) -> None:
    assert _doubts(make_bundle(tmp_path / "b"), cache, png(5), abstention=LENIENT) == {}


def test_an_image_unlike_those_is_said_to_be_so(tmp_path: Path, cache: Path) -> None:
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[::2, :, 0] = 255

    told = _doubts(make_bundle(tmp_path / "b"), cache, encoded(stripes, "PNG"), abstention=LENIENT)

    assert list(told) == ["unlike_training_data"]


def test_a_bundle_that_does_not_know_its_training_images_calls_nothing_unlike(
    tmp_path: Path, cache: Path
) -> None:
    folder = make_bundle(tmp_path / "b")
    (folder / NOVELTY).unlink()
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[::2, :, 0] = 255

    assert _doubts(folder, cache, encoded(stripes, "PNG"), abstention=LENIENT) == {}


@pytest.mark.parametrize(
    ("rules", "image", "code"),
    [
        ({"min_confidence": 1}, png(5), "low_confidence"),
        ({"min_side": 41}, png(5, width=60, height=40), "small_image"),
        ({"min_contrast": 128}, png(5), "low_contrast"),
    ],
)
def test_each_rule_of_the_spec_holds(
    tmp_path: Path, cache: Path, rules: dict[str, float], image: bytes, code: str
) -> None:
    rule = LENIENT.model_copy(update=rules)

    assert list(_doubts(make_bundle(tmp_path / "b"), cache, image, abstention=rule)) == [code]


def test_a_novelty_file_that_is_none_refuses_the_bundle(tmp_path: Path, cache: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    (folder / NOVELTY).write_bytes(b"no arrays")
    _change(folder)

    with pytest.raises(BundleError, match=r"novelty\.npz"):
        _open(folder, cache)
