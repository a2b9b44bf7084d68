"""The pictures show what they are given."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pipelines.evaluation import figures, gallery
from pipelines.evaluation.gallery import Example
from pipelines.evaluation.grid import overlaid
from pipelines.evaluation.intervals import Interval

CLASSES = ("clear", "spot")
LABELS = np.array([0, 0, 0, 1, 1, 1])
SPOT = np.array([0.1, 0.2, 0.6, 0.4, 0.8, 0.9])
PROBABILITIES = np.stack([1 - SPOT, SPOT], axis=1)


def drawn(figure: Figure, folder: Path) -> np.ndarray:
    """The figure as pixels."""
    path = figures.save(figure, folder / "deep" / "figure.png")
    image = cv2.imread(str(path))
    assert image is not None
    assert image.std() > 5, "the picture is empty"
    return np.asarray(image)


def test_learning_curves_have_a_line_for_training_and_validation(tmp_path: Path) -> None:
    history = [
        {"loss": 1 / e, "val_loss": 1.2 / e, "accuracy": 0.5, "val_accuracy": 0.4}
        for e in range(1, 6)
    ]

    figure = figures.learning_curves(history, best=4, title="one")

    loss = figure.axes[0]
    assert loss.lines[1].get_ydata().tolist() == [e["val_loss"] for e in history]  # type: ignore[union-attr]
    assert [t.get_text() for t in loss.get_legend().get_texts()] == [  # type: ignore[union-attr]
        "training",
        "validation",
        "kept: epoch 4",
    ]
    drawn(figure, tmp_path)


@pytest.mark.parametrize("classes", [2, 4, 15])
def test_a_confusion_matrix_writes_its_counts_where_they_fit(tmp_path: Path, classes: int) -> None:
    counts = np.diag(np.full(classes, 9)) + 1

    figure = figures.confusion_matrices(
        {"as served": counts, "argmax": counts.T}, [f"c{i}" for i in range(classes)], title="one"
    )

    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == (classes**2 if classes <= 12 else 0)
    if classes == 2:
        assert texts == ["10\n91%", "1\n9%", "1\n9%", "10\n91%"]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["as served", "argmax"]
    drawn(figure, tmp_path)


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (figures.roc, "spot: 0.889 (0.500 to 1.000)"),
        (figures.precision_recall, "spot: 0.917 (0.600 to 1.000)"),
    ],
)
def test_curves_tell_area_and_interval_of_each_class(
    tmp_path: Path, draw: object, told: str
) -> None:
    bounds = {"auroc.spot": Interval(0.5, 1.0), "auprc.spot": Interval(0.6, 1.0)}

    figure = draw(LABELS, PROBABILITIES, CLASSES, intervals=bounds, title="one")  # type: ignore[operator]

    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[1] == told
    assert legend[0].startswith("clear: ")
    drawn(figure, tmp_path)


def predictions() -> pd.DataFrame:
    """Nine images of ``clear`` that are found, one missed; two of ``spot``, both missed."""
    confidence = [0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.3, 0.8, 0.9]
    return pd.DataFrame(
        {
            "label": ["clear"] * 10 + ["spot"] * 2,
            "predicted": ["clear"] * 9 + ["spot"] + ["clear"] * 2,
            "probability.clear": confidence,
            "probability.spot": [1 - value for value in confidence],
        }
    )


def test_the_gallery_takes_hits_from_all_over_and_the_surest_misses() -> None:
    chosen = gallery.choose(predictions(), CLASSES)

    assert chosen == {"clear": ([2, 6], [9]), "spot": ([], [11, 10])}


def test_the_gallery_shows_every_example_beside_its_heat_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = predictions()
    examples = {
        i: Example(
            label=str(rows.loc[i, "label"]),
            predicted=str(rows.loc[i, "predicted"]),
            confidence=0.5,
            picture=rng.integers(0, 256, (32, 32, 3), np.uint8),
            heat=rng.random((32, 32), np.float32),
        )
        for i in (2, 6, 9, 10, 11)
    }

    figure = gallery.draw(gallery.choose(rows, CLASSES), examples, title="one")

    (axes,) = figure.axes
    (canvas,) = axes.images
    shown = np.asarray(canvas.get_array())
    windows = np.lib.stride_tricks.sliding_window_view(shown, (32, 32, 3))[:, :, 0]
    for one in examples.values():
        plain, warm = one.picture, overlaid(one.picture, one.heat, opacity=0.5)
        assert (windows == plain).all(axis=(2, 3, 4)).sum() == 1
        assert (windows == warm).all(axis=(2, 3, 4)).sum() == 1
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("clear 0.50") == 4
    assert {"one", "spot", "no hits"} <= {*texts}
    drawn(figure, tmp_path)
