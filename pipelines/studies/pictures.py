"""The pictures of studies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.evaluation.figures import COLOURS, plain
from pipelines.evaluation.metrics import OVERALL
from pipelines.studies.trial import Trial

if TYPE_CHECKING:
    from pipelines.studies.cross_validation import CrossValidation
    from pipelines.studies.learning_curve import LearningCurve
    from pipelines.studies.tune import Tuned

Values = NDArray[np.float64]

MARKS = {"complete": "o", "pruned": "x", "diverged": "v"}


def search_picture(tuned: "Tuned") -> Figure:
    """Left, each trial's loss, and the least so far; right, which settings led to which loss."""
    judged = [trial for trial in tuned.trials if trial.loss is not None]
    figure = Figure(figsize=(11, 4), layout="constrained")
    figure.suptitle(f"{tuned.candidate}: {tuned.search} search, {len(tuned.trials)} trials")
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    _losses(left, judged, best=tuned.best)
    _parallel(right, judged, names=list(tuned.settings), best=tuned.best)
    return figure


def _losses(axes: Axes, trials: Sequence[Trial], *, best: int) -> None:
    for state, mark in MARKS.items():
        members = [trial for trial in trials if trial.state == state]
        if members:
            numbers, losses = [t.number for t in members], [t.loss for t in members]
            axes.plot(numbers, losses, mark, color=COLOURS[0], label=state)  # type: ignore[arg-type]
    ended = [trial for trial in trials if trial.state == "complete"]
    least = np.minimum.accumulate([trial.loss for trial in ended])  # type: ignore[arg-type]
    axes.step(
        [t.number for t in ended], least, where="post", color=COLOURS[1], label="least so far"
    )
    axes.axvline(best, color="0.5", linestyle=":", label=f"followed: trial {best}")
    axes.set_xlabel("trial")
    axes.set_ylabel("validation loss")
    plain(axes)
    axes.legend(frameon=False)


def _parallel(axes: Axes, trials: Sequence[Trial], *, names: Sequence[str], best: int) -> None:
    """Parallel coordinates (Inselberg 1985): an axis a setting, a line a trial, dark is good."""
    columns = {name: _positions([trial.settings[name] for trial in trials]) for name in names}
    losses = np.array([trial.loss for trial in trials], float)
    shade = Normalize(losses.min(), losses.max())
    places = np.arange(len(names))
    for index, trial in enumerate(trials):
        followed = trial.number == best
        axes.plot(
            places,
            [columns[name][index] for name in names],
            color=COLOURS[1] if followed else colormaps["viridis"](shade(losses[index])),
            linewidth=2.5 if followed else 1,
            linestyle="-" if trial.state == "complete" else ":",
            zorder=3 if followed else 2,
        )
    for place, name in zip(places, names, strict=True):
        values = [trial.settings[name] for trial in trials]
        for at in sorted({int(np.argmin(columns[name])), int(np.argmax(columns[name]))}):
            axes.annotate(
                _short(values[at]), (place, columns[name][at]), fontsize=8, xytext=(4, 0),
                textcoords="offset points",
            )  # fmt: skip
    axes.set_xticks(places, [name.removeprefix("options.") for name in names], rotation=20)
    axes.set_yticks([])
    axes.set_title("settings (dark: less loss; dotted: stopped early)", fontsize=9)
    plain(axes)


def _positions(values: Sequence[Any]) -> Values:
    """Where values stand on an axis from 0 to 1: numbers by size (by order of magnitude where
    they differ by more than ten times), others by name."""
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        numbers = np.array(values, float)
        if numbers.min() > 0 and numbers.max() > 10 * numbers.min():
            numbers = np.log(numbers)
    else:
        names = sorted({str(value) for value in values})
        numbers = np.array([names.index(str(value)) for value in values], float)
    spread = np.ptp(numbers)
    return (numbers - numbers.min()) / spread if spread else np.full(len(numbers), 0.5)


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def curve_picture(curve: "LearningCurve") -> Figure:
    """The figure by training images, with 95 % intervals, and twice as far as there are any; a dot
    for each training."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(f"{curve.candidate}: would more images help?")
    images = [size.images for size in curve.sizes]
    for size in curve.sizes:
        single = [one.figures[curve.figure] for one in size.trained]
        axes.plot([size.images] * len(single), single, ".", color=COLOURS[5], zorder=1)
    values = np.array([size.value for size in curve.sizes])
    bounds = np.array([size.interval or (size.value, size.value) for size in curve.sizes])
    axes.errorbar(
        images, values, yerr=_arms(values, bounds), fmt="o-", color=COLOURS[0], capsize=3,
        label=f"mean of {curve.repeats} trainings, judged on validation",
    )  # fmt: skip
    if curve.value_if_doubled is not None:
        low, high = curve.value_if_doubled
        axes.vlines(
            curve.doubled, low, high, color=COLOURS[1], linewidth=3, label="if it goes on as it has"
        )
    axes.set_xscale("log")
    axes.set_xticks([*images, curve.doubled], [f"{n:,}" for n in [*images, curve.doubled]])
    axes.minorticks_off()
    axes.set_xlabel("images to train on")
    axes.set_ylabel(curve.figure)
    plain(axes)
    axes.legend(frameon=False)
    return figure


def folds_picture(found: "CrossValidation") -> Figure:
    """Every fold's figures, their means, and 95 % intervals of these."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(
        f"{found.candidate}: {found.folds} folds by group, {found.repeats} times; "
        "means with 95 % intervals"
    )
    names = [name for name in OVERALL if name in found.means]
    for place, name in enumerate(names):
        values = [fold.figures[name] for fold in found.trained]
        spread = np.linspace(-0.15, 0.15, len(values))
        axes.plot(place + spread, values, ".", color=COLOURS[5], zorder=1)
        mean, bounds = np.array([found.means[name]]), np.array([found.intervals[name]])
        axes.errorbar([place], mean, yerr=_arms(mean, bounds), fmt="o", color=COLOURS[1], capsize=5)
    axes.set_xticks(range(len(names)), names, rotation=20)
    plain(axes)
    return figure


def _arms(values: Values, bounds: Values) -> Values:
    """(2, n) how far intervals (n, 2) reach below and above values (n,)."""
    return np.maximum([values - bounds[:, 0], bounds[:, 1] - values], 0)
