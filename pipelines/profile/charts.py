"""Charts of numbers that describe the images: texture by class, a map of deep features."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.features import texture
from pipelines.outputs import SplitName
from pipelines.profile.facts import Facts

COLUMNS = 4
DOTS = 4_000
"""Images on the map at most."""
SPLITS: tuple[SplitName, ...] = ("train", "test")


def textures(facts: Facts) -> Figure:
    """Box plots of each handmade feature: by class, training filled and test hollow beside it."""
    rows = -(-len(texture.NAMES) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.4 * rows), layout="constrained")
    figure.suptitle(f"{facts.title}: shades and texture (training filled, test hollow)")
    every = np.ravel(figure.subplots(rows, COLUMNS))
    for number, axes in enumerate(every):
        if number < len(texture.NAMES):
            _boxes(axes, facts, number)
        else:
            axes.set_axis_off()
    return figure


def _boxes(axes: Axes, facts: Facts, number: int) -> None:
    for label in range(len(facts.classes)):
        colour = COLOURS[label % len(COLOURS)]
        for place, split in enumerate(SPLITS):
            values = facts.texture_of(split, label)[:, number]
            if not len(values):
                continue
            axes.boxplot(
                values,
                positions=[label + 0.36 * place - 0.18],
                widths=0.3,
                showfliers=False,
                patch_artist=True,
                boxprops={"facecolor": colour if split == "train" else "white", "color": colour},
                medianprops={"color": "black"},
            )
    axes.set_xticks(range(len(facts.classes)), facts.classes, rotation=30, ha="right", fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title(texture.NAMES[number], fontsize=9)
    plain(axes)


def deep_map(facts: Facts, *, seed: int) -> tuple[Figure, float]:
    """The images on the two directions in which their deep features vary most.

    Directions are those of the training images.

    Args:
        facts: of the profile.
        seed: of the draw, where there are more than `DOTS` images of a split.

    Returns:
        The figure, and the share of the variance that the two directions show.
    """
    found = PCA(2, random_state=seed).fit(facts.deep.of("train").values)
    shown = float(found.explained_variance_ratio_.sum())
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    figure.suptitle(f"{facts.title}: deep features, {shown:.0%} of their variance")
    both = figure.subplots(1, 2, sharex=True, sharey=True)
    drawn = np.random.default_rng(seed)
    for axes, split in zip(both, SPLITS, strict=True):
        part = facts.deep.of(split)
        rows = drawn.permutation(len(part.labels))[:DOTS]
        axes.set_title(split, fontsize=10)
        if len(rows):
            places, labels = found.transform(part.values[rows]), part.labels[rows]
            colours = [COLOURS[label % len(COLOURS)] for label in labels]
            axes.scatter(*places.T, c=colours, s=5, alpha=0.6, linewidths=0)
        plain(axes)
    for label, name in enumerate(facts.classes):
        both[0].scatter([], [], color=COLOURS[label % len(COLOURS)], s=16, label=name)
    both[0].legend(frameon=False, fontsize=8)
    return figure, shown
