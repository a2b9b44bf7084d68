"""Where a model looks: a network that reads a spot, held against masks that are right and wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.network import Network
from pipelines.evaluation.predictions import described, with_probabilities
from pipelines.evidence import attention
from pipelines.evidence.finding import Finding
from pipelines.evidence.sample import draw_sample
from pipelines.evidence.subject import Subject
from pipelines.outputs import SPLITS, Prepared
from pipelines.stage import Context
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.local_sets import Drawn, write_set

SIZE = 64
IMAGES = 12
CLASSES = ("bright", "dark")

Masks = dict[int, NDArray[np.bool_]]
Draw = Callable[[int], NDArray[np.uint8]]


def spot_of(number: int) -> tuple[slice, slice]:
    """Where the lesion of an image is: a square of 16, on the grid of the network's cells."""
    row, column = 16 * (1 + number % 2), 16 * (1 + number // 2 % 2)
    return slice(row, row + 16), slice(column, column + 16)


def picture(number: int) -> NDArray[np.uint8]:
    """A body, and a spot that is brighter in one class."""
    drawn = np.zeros((SIZE, SIZE, 3), np.uint8)
    drawn[4:60, 4:60] = 60
    drawn[spot_of(number)] = 250 if number % 3 else 150
    return drawn


def sign_in_the_corner(number: int) -> NDArray[np.uint8]:
    """The same, but what tells the classes apart is beside the body."""
    drawn = np.zeros((SIZE, SIZE, 3), np.uint8)
    drawn[20:, :] = 60
    drawn[:16, :16] = 250 if number % 3 else 150
    return drawn


def write_images(cache: Path, *, masks: Masks, draw: Draw) -> TrainingSet:
    """The same images in each split."""
    images = [
        Drawn(split, draw(n), 0 if n % 3 else 1, f"{split}{n}", f"g{n // 2}", masks.get(n))
        for split in SPLITS
        for n in range(IMAGES)
    ]
    return write_set(cache, images, CLASSES)


def spot_reader() -> keras.Model:
    """Finds what is brighter than the body; the brighter, the surer of ``bright``."""
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.AveragePooling2D(16)(image)
    x = keras.layers.Conv2D(1, 1, name="block0_conv")(x)
    x = keras.layers.ReLU(name="features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dense(2, name="logits")(x)
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    model.get_layer("block0_conv").set_weights([np.full((1, 1, 3, 1), 1 / 3), np.array([-100.0])])
    model.get_layer("logits").set_weights([np.array([[1.0, 0.5]]), np.array([-3.0, 0.0])])
    return model


def subject(context: Context, tmp_path: Path, masks: Masks, draw: Draw = picture) -> Subject:
    data = write_images(tmp_path / "cache", masks=masks, draw=draw)
    model = spot_reader()
    rows = described(data, "test").assign(split="test")
    logits = keras.Model(model.input, model.get_layer("logits").output)
    answers = np.asarray(logits(np.stack([draw(n) for n in range(IMAGES)]).astype("float32")))
    rows = rows.assign(**{f"logit.{c}": answers[:, i] for i, c in enumerate(CLASSES)})
    rows = with_probabilities(pd.DataFrame(rows), CLASSES, temperature=1.0)
    prepared = Prepared(
        dataset="small",
        id="p",
        snapshot="s",
        split="d",
        path="p",
        images="i",
        rows=dict.fromkeys(("test",), 12),
    )
    return Subject(
        small_spec(),
        context,
        prepared,
        "one",
        data,
        Network(model),
        rows,
        temperature=1.0,
        thresholds=None,
    )


def lesion(number: int) -> NDArray[np.bool_]:
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[spot_of(number)] = True
    return mask


def looked(context: Context, tmp_path: Path, masks: Masks) -> Finding:
    return attention.look(subject(context, tmp_path, masks), tmp_path / "drawn")


def test_a_network_that_reads_the_lesion_is_found_to_look_at_it(
    context: Context, tmp_path: Path
) -> None:
    found = looked(context, tmp_path, {n: lesion(n) for n in range(8)})

    assert found.figures["pointing_game"] == 1
    assert found.figures["masks"] == 8
    assert found.figures["energy_inside"] > 0.4  # the map is drawn smoothly around its cell
    assert found.figures["inside_body"] > 0.95
    assert found.figures["deletion"] < found.figures["deletion_by_chance"]
    assert found.figures["insertion"] > found.figures["insertion_by_chance"]
    assert found.figures["pointing_gain"] == pytest.approx(1 - 1 / 16)
    assert found.intervals["pointing_gain"].low > 0.3
    assert found.intervals["faithfulness"].low > 0
    low, high = found.intervals["energy_inside"]
    assert low <= found.figures["energy_inside"] <= high
    for picture in ("pointing_game.png", "deletion_insertion.png", "randomisation.png"):
        assert (tmp_path / "drawn" / picture).stat().st_size > 5_000
        assert picture in found.pictures


def test_lesions_elsewhere_are_missed_and_the_table_says_what_chance_comes_to(
    context: Context, tmp_path: Path
) -> None:
    found = looked(context, tmp_path, {n: np.roll(lesion(n), 32, axis=1) for n in range(IMAGES)})

    assert found.figures["pointing_game"] == 0
    assert found.figures["pointing_gain"] == pytest.approx(-1 / 16)
    assert found.intervals["pointing_game"].high > 0.2  # none of 12 is not surely none
    (table,) = [table for table in found.tables if table.title == "Heat on the lesions"]
    by_name = {row[0]: row for row in table.rows}
    assert by_name["knows nothing"][2] == pytest.approx(1 / 16)
    assert by_name["Grad-CAM"][1] == IMAGES


def test_the_pointing_game_is_told_apart_for_what_was_called_a_finding(
    context: Context, tmp_path: Path
) -> None:
    (tmp_path / "plain").mkdir()
    plain = subject(context, tmp_path / "plain", {})
    bright = (plain.answers("test").names == "bright").tolist()
    assert 0 < sum(bright) < IMAGES
    masks = {n: lesion(n) if bright[n] else np.roll(lesion(n), 32, axis=1) for n in range(IMAGES)}
    kinds = [{"name": n, "title": n, "finding": n == "bright"} for n in CLASSES]
    asked = replace(subject(context, tmp_path, masks), spec=small_spec(classes=kinds))

    found = attention.look(asked, tmp_path / "drawn")

    assert found.figures["masks_of_findings"] == sum(bright)
    assert found.figures["pointing_game_of_findings"] == 1
    assert found.figures["pointing_game"] == pytest.approx(np.mean(bright))
    assert found.figures["pointing_gain"] == pytest.approx(1 - 1 / 16)
    assert "pointing_game_of_findings" in found.intervals
    (table,) = [table for table in found.tables if table.title == "Heat on the lesions"]
    assert table.rows[-1][:3] == ("Grad-CAM, called a finding", sum(bright), 1)


def test_without_masks_all_but_the_lesions_is_told(context: Context, tmp_path: Path) -> None:
    found = looked(context, tmp_path, {})

    assert "pointing_game" not in found.figures
    assert set(found.intervals) == {"inside_body", "faithfulness"}
    assert "pointing_game.png" not in found.pictures
    assert {"inside_body", "sanity_correlation", "deletion", "insertion"} <= set(found.figures)


def test_a_network_that_reads_the_background_is_warned_of(context: Context, tmp_path: Path) -> None:
    judged = subject(context, tmp_path, {}, sign_in_the_corner)

    found = attention.look(judged, tmp_path / "drawn")

    assert found.figures["inside_body"] < 0.3
    assert any("no anatomy" in said for said in found.warnings)


def test_maps_that_do_not_depend_on_what_was_learned_are_warned_of(
    context: Context, tmp_path: Path
) -> None:
    found = looked(context, tmp_path, {})  # its only kernel keeps its values, however mixed

    assert found.figures["sanity_correlation"] > 0.9
    assert any("random" in said for said in found.warnings)


def test_a_sample_is_drawn_by_the_seed_with_masks_in_half_of_it(
    context: Context, tmp_path: Path
) -> None:
    judged = subject(context, tmp_path, {n: lesion(n) for n in (1, 4, 7, 10, 11)})

    six, again, most = (draw_sample(judged, images) for images in (6, 6, 100))

    assert len(six.pictures) == 6
    assert len(six.masked) == 3
    assert len(most.pictures) == IMAGES
    assert len(most.masked) == 5
    assert (six.pictures == again.pictures).all()
    for place, mask in zip(six.masked, six.masks, strict=True):
        brightest = six.pictures[place].max(axis=2) > 100
        assert (mask == brightest).all()
