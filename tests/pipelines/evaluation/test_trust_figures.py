"""The pictures of trust show what was measured."""

from pathlib import Path

import numpy as np
from matplotlib.collections import PathCollection

from pipelines.evaluation.calibration import reliability
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.figures import save
from pipelines.evaluation.trust_figures import reliability_diagram, risk_by_coverage

SURE = np.array([0.95, 0.93, 0.65, 0.55])
PROBABILITIES = np.stack([SURE, 1 - SURE], axis=1)
LABELS = np.array([0, 1, 0, 0])


def test_each_curve_stands_at_the_confidence_and_accuracy_of_its_bins(tmp_path: Path) -> None:
    bins = reliability(PROBABILITIES, LABELS, bins=10)

    figure = reliability_diagram({"before": bins, "after": bins[:1]}, title="one")

    diagonal, before, after = figure.axes[0].lines
    assert np.allclose(before.get_xydata(), [(0.55, 1), (0.65, 1), (0.94, 0.5)])
    assert np.allclose(after.get_xydata(), [(0.55, 1)])
    assert np.allclose(diagonal.get_xydata(), [(0, 0), (1, 1)])
    dots = figure.axes[0].collections[0]
    assert isinstance(dots, PathCollection)
    small, *_, large = dots.get_sizes()
    assert large > small
    assert save(figure, tmp_path / "reliability.png").stat().st_size > 5_000


def test_the_risk_is_drawn_over_the_whole_coverage(tmp_path: Path) -> None:
    answers = Decisions.by_likeliest(PROBABILITIES, ("a", "b"))
    figure = risk_by_coverage(LABELS, answers, title="one")

    (curve,) = figure.axes[0].lines
    assert np.allclose(curve.get_xydata(), [(0.25, 0), (0.5, 0.5), (0.75, 1 / 3), (1, 0.25)])
    assert save(figure, tmp_path / "risk.png").stat().st_size > 5_000
