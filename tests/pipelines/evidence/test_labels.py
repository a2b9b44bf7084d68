"""Labels that are probably wrong are listed for review, and nothing is left out."""

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pipelines.evidence.labels import REVIEW, look
from pipelines.evidence.subject import Subject
from pipelines.stage import Context
from tests.pipelines.data.small_collection import Row, images
from tests.pipelines.evidence.small_subjects import small_subject

if TYPE_CHECKING:
    import keras

SWAPPED = {"bright/004.png": "dark", "dark/003.png": "bright"}
"""One test image and one for validation."""


def mislabelled() -> list[Row]:
    return [row | {"label": SWAPPED.get(row["source_path"], row["label"])} for row in images(40)]


def colour_model() -> "keras.Model":
    """A model that sees colours, and tells bright from dark."""
    import keras

    image = keras.Input((32, 32, 3), name="image")
    seen = keras.layers.Conv2D(3, 1, name="features")(image)
    logits = keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(seen))
    model = keras.Model(image, keras.layers.Activation("softmax", name="probabilities")(logits))
    model.get_layer("features").set_weights([np.eye(3)[None, None], np.zeros(3)])
    kernel = np.array([[0.1, 0.0]] * 3)
    model.get_layer("logits").set_weights([kernel, np.array([-31.5, 0.0])])
    return model


@pytest.fixture
def subject(context: Context, tmp_path: Path) -> Subject:
    return small_subject(context, tmp_path, rows=mislabelled())


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / REVIEW).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_swapped_labels_are_listed_with_their_paths(subject: Subject, tmp_path: Path) -> None:
    found = look(subject, tmp_path)
    assert {row["source_path"]: row["suggested"] for row in listed(tmp_path)} == {
        "bright/004.png": "bright",
        "dark/003.png": "dark",
    }
    assert (found.figures["suspected"], found.figures["suspected_validation"]) == (1, 1)
    assert len(found.warnings) == 1
    assert (tmp_path / "labels.png").stat().st_size > 5_000


def test_figures_are_given_with_and_without_and_nothing_is_dropped(
    subject: Subject, tmp_path: Path
) -> None:
    found = look(subject, tmp_path)
    test = subject.of("test")
    assert found.figures["accuracy"] == pytest.approx((test["label"] == test["predicted"]).mean())
    assert found.figures["accuracy"] == pytest.approx(15 / 16)
    assert found.figures["accuracy_without"] == 1
    assert len(subject.of("test")) == 16


def test_right_labels_raise_no_warning(context: Context, tmp_path: Path) -> None:
    found = look(small_subject(context, tmp_path), tmp_path)
    assert found.warnings == ()
    assert found.pictures == {}
    assert listed(tmp_path) == []


def test_a_picture_of_something_else_is_listed_as_unlike(context: Context, tmp_path: Path) -> None:
    rows = images(30)
    strange = next(row for row in rows if row["split"] == "test" and row["label"] == "bright")
    file = io.BytesIO()
    Image.fromarray(np.full((48, 48, 3), (250, 120, 20), np.uint8)).save(file, "PNG")
    content = file.getvalue()
    strange |= {"content": content, "sha256": hashlib.sha256(content).hexdigest()}
    found = look(small_subject(context, tmp_path, rows=rows, model=colour_model()), tmp_path)
    assert found.figures["unlike"] == 1
    assert strange["source_path"] in {row["source_path"] for row in listed(tmp_path)}
