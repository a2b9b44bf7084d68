"""The evaluation report shows every figure, warning and picture, whatever evidence there is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.documents.html import page
from pipelines.documents.markdown import text
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.record import Evaluation, SplitFigures
from pipelines.evaluation.report import document
from pipelines.evidence.finding import Finding, Table
from tests.pipelines.data.small_collection import CLASSES, small_spec

BY_CLASS = ("sensitivity", "specificity", "precision", "npv", "f1", "auroc", "auprc")


def split(value: float) -> SplitFigures:
    names = ["accuracy", "ece", *(f"{m}.{c}" for m in BY_CLASS for c in CLASSES)]
    return SplitFigures(
        images=1200,
        groups=900,
        figures=dict.fromkeys(names, value),
        intervals={"accuracy": Interval(value - 0.1, value + 0.1)},
        confusion=[[1, 0], [0, 1]],
    )


@pytest.fixture
def evaluation() -> Evaluation:
    finding = Finding(
        title="Where it looks",
        about="How it was found.",
        said=("On the body.",),
        warnings=("Not always.",),
        figures={"inside_body": 0.9, "images": 40},
        intervals={"inside_body": Interval(0.8, 0.95)},
        tables=(Table(title="By class", columns=("class", "share"), rows=(("bright", 0.5),)),),
        pictures={"heat.png": "The heat.", "gone.png": "Not drawn."},
    )
    return Evaluation(
        id="e",
        candidate="one",
        run_id="run-of-one",
        classes=CLASSES,
        prepared="small/prepared/one",
        model_sha256="ab" * 32,
        resamples=1000,
        splits={"validation": split(0.8), "test": split(0.75)},
        evidence={"attention": finding},
    )


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("roc", "heat"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_what_to_know_stands_first_then_figures_then_evidence(
    evaluation: Evaluation, pictures: Path
) -> None:
    told = text(document(small_spec(), evaluation, pictures))

    order = (
        *("1,200 test images in 900 groups", "Not always.", "## Figures as served"),
        *("## The operating point", "## Where it looks"),
    )
    places = [told.index(part) for part in order]
    assert places == sorted(places)
    assert "| accuracy | 0.750 (0.650 to 0.850) | 0.800 (0.700 to 0.900) |" in told
    assert "| bright | 0.750 | 0.750 |" in told
    assert "| inside body | 0.900 (0.800 to 0.950) |" in told
    assert "| images | 40 |" in told
    assert "| bright | 0.500 |" in told
    assert "Run run-of-one" in told
    assert "No thresholds are set" in told


def test_the_operating_point_stands_beside_argmax_class_by_class(
    evaluation: Evaluation, pictures: Path
) -> None:
    first, second = CLASSES
    served = evaluation.model_copy(
        update={"thresholds": {first: 0.1, second: 0.9}, "likeliest": {"test": split(0.5)}}
    )

    told = text(document(small_spec(), served, pictures))

    assert f"Thresholds: {first} 0.1000, {second} 0.9000." in told
    assert f"| {first} | as served | 1 | 0 |\n| {first} | argmax | 1 | 0 |" in told
    assert "| class | decided by | sensitivity | specificity | PPV | NPV |" in told
    for name in CLASSES:
        assert f"| {name} | as served | 0.750 | 0.750 | 0.750 | 0.750 |" in told
        assert f"| {name} | argmax | 0.500 | 0.500 | 0.500 | 0.500 |" in told
    # the figures that come first are those as served
    assert "| accuracy | 0.750 (0.650 to 0.850) |" in told


def test_pictures_that_were_drawn_are_inside_and_others_are_left_out(
    evaluation: Evaluation, pictures: Path
) -> None:
    drawn = page(document(small_spec(), evaluation, pictures))

    assert drawn.count("<img") == 2
    assert 'alt="The heat."' in drawn
    assert "Not drawn." not in drawn


def test_synthetic_data_is_said_to_be(evaluation: Evaluation, pictures: Path) -> None:
    assert "Synthetic data." in text(document(small_spec(synthetic=True), evaluation, pictures))
