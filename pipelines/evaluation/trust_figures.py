"""The pictures of how far a model's confidence can be trusted."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from pipelines.evaluation.calibration import Bin
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.figures import COLOURS, plain, square
from pipelines.evaluation.selective import risk_coverage
from pipelines.evaluation.targets import Labels


def reliability_diagram(curves: Mapping[str, Sequence[Bin]], *, title: str) -> Figure:
    """Accuracy by confidence; on the diagonal, a confidence means what it says.

    Args:
        curves: what each is → its bins. The larger a dot, the more images.
        title: of the figure.
    """
    figure, axes = square(title)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for colour, (name, bins) in zip(COLOURS, curves.items(), strict=False):
        confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
        total = sum(b.images for b in bins)
        sizes = [10 + 300 * b.images / total for b in bins]
        axes.plot(confidence, accuracy, color=colour, label=name)
        axes.scatter(confidence, accuracy, s=sizes, color=colour, clip_on=False)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def risk_by_coverage(labels: Labels, answers: Decisions, *, title: str) -> Figure:
    """How often the model is wrong, by the share of images it is made to answer."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    covered, risk = risk_coverage(labels, answers)
    axes.plot(covered, risk, color=COLOURS[0])
    axes.set(xlim=(0, 1.01), title=title)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("coverage: share of the images answered, surest first")
    axes.set_ylabel("risk: share of these that are wrong")
    plain(axes)
    return figure
