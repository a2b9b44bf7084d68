"""The forest plot: a figure of many subgroups, each with its interval, beside the whole."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.evaluation.rates import Rate


def forest(subgroups: Mapping[str, Rate], whole: Rate, *, what: str, title: str) -> Figure:
    """Draw a figure of subgroups, one a line, over the band of the whole.

    Args:
        subgroups: name → its figure.
        whole: of all images.
        what: the figure is called.
        title: of the picture.
    """
    figure = Figure(figsize=(7.5, 1.4 + 0.26 * len(subgroups)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(*whole.interval, color=COLOURS[0], alpha=0.12, linewidth=0)
    axes.axvline(whole.value, color=COLOURS[0], linewidth=1, label="all images (95 % interval)")
    for line, rate in enumerate(subgroups.values()):
        below = rate.interval.high < whole.interval.low
        colour = COLOURS[1] if below else "0.25"
        axes.plot(rate.interval, (line, line), color=colour, linewidth=1.5)
        axes.plot(rate.value, line, marker="s", color=colour, markersize=4)
    told = [f"{name} (n = {rate.images:,})" for name, rate in subgroups.items()]
    axes.set_yticks(range(len(told)), told, fontsize=8)
    axes.set_ylim(len(told) - 0.4, -0.6)
    axes.set_xlabel(f"{what}, 95 % interval")
    axes.set_title(title, fontsize=10)
    plain(axes)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8)
    return figure
