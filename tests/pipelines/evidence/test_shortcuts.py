"""What can be told, and what is told, from pixels that show no body."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pipelines.evidence.shortcuts import look
from pipelines.stage import Context
from tests.pipelines.data.small_collection import CLASSES, Row, images
from tests.pipelines.evidence.small_subjects import small_subject
from tests.pipelines.tracked import brightness_model

if TYPE_CHECKING:
    import keras

SIDE = 64


def scan(number: int, *, body: int, background: int) -> bytes:
    """A noisy disc on a noisy background."""
    noise = np.random.default_rng((number, body, background))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    disc = (rows - 32) ** 2 + (columns - 32) ** 2 < 22**2
    shades = np.where(disc, body, background) + noise.normal(0, 1.5, (SIDE, SIDE))
    file = io.BytesIO()
    Image.fromarray(np.repeat(shades.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)).save(
        file, "PNG"
    )
    return file.getvalue()


def rows(*, told_by: str) -> list[Row]:
    """80 scans; ``body`` or ``background`` tells the class, the other alternates."""
    made = []
    for number, row in enumerate(images(40)):
        own, chance = CLASSES.index(row["label"]), int(row["source_path"][-7:-4]) % 2
        of_body, of_background = (own, chance) if told_by == "body" else (chance, own)
        content = scan(number, body=(220, 160)[of_body], background=(10, 3)[of_background])
        sha256 = hashlib.sha256(content).hexdigest()
        made.append(row | {"content": content, "sha256": sha256})
    return made


def corner_model() -> "keras.Model":
    """A model that looks at the upper left corner, and nowhere else."""
    import keras

    image = keras.Input((32, 32, 3), name="image")
    corner = keras.layers.Cropping2D(((0, 28), (0, 28)))(image)
    level = keras.layers.GlobalAveragePooling2D()(corner)
    logits = keras.layers.Dense(2, name="logits")(level)
    model = keras.Model(image, keras.layers.Activation("softmax", name="probabilities")(logits))
    kernel = np.repeat([[0.5, 0.0]], 3, axis=0)
    model.get_layer("logits").set_weights([kernel, np.array([-1.5 * 6.5, 0.0])])
    return model


def body_model() -> "keras.Model":
    """A model that goes by how bright the picture is, which the body decides."""
    return brightness_model(threshold=(220 + 160) / 2 * 0.37 + 4)


def test_a_background_that_tells_the_class_is_found_out(context: Context, tmp_path: Path) -> None:
    found = look(
        small_subject(context, tmp_path, rows=rows(told_by="background"), model=corner_model()),
        tmp_path,
    )
    assert found.figures["border_auroc"] > 0.95
    assert found.figures["background_auroc"] > 0.95
    assert found.intervals["background_auroc"].low > 0.8
    assert sum("no body:" in warning for warning in found.warnings) == 2
    assert found.figures["body_blanked_kappa"] == pytest.approx(1)
    assert found.figures["body_blanked_accuracy"] == 1
    assert found.intervals["body_blanked_kappa"].low > 0.6
    assert any("painted over" in warning for warning in found.warnings)
    assert any("made black" in warning for warning in found.warnings)


def test_a_candidate_that_looks_at_the_body_is_not_accused(
    context: Context, tmp_path: Path
) -> None:
    found = look(
        small_subject(context, tmp_path, rows=rows(told_by="body"), model=body_model()), tmp_path
    )
    assert found.intervals["border_auroc"].low < 0.5
    assert found.intervals["background_auroc"].low < 0.5
    assert found.figures["background_blanked_agreement"] == 1
    assert found.figures["body_blanked_kappa"] == pytest.approx(0)
    assert found.warnings == ()


def test_pictures_without_background_leave_the_figures_out(
    context: Context, tmp_path: Path
) -> None:
    found = look(small_subject(context, tmp_path), tmp_path)
    assert not [name for name in found.figures if "blanked" in name or "background" in name]
    assert "border_auroc" in found.figures


def test_the_same_seed_finds_the_same(context: Context, tmp_path: Path) -> None:
    subject = small_subject(context, tmp_path, rows=rows(told_by="body"), model=body_model())
    assert look(subject, tmp_path) == look(subject, tmp_path)
