"""Net benefit: whether acting on the model's answers is better than acting on all, or on none."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import figures
from pipelines.evaluation.intervals import Interval, draws
from pipelines.evaluation.net_benefit import net_benefit, of_acting_on_all
from pipelines.evaluation.weighted import Weights
from pipelines.evidence.curves import decision_curve
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.question import Question, any_finding, prevalence_told
from pipelines.evidence.subject import Subject

ABOUT = (
    "Whoever acts on a finding from a probability of 10 % on says that a found one is worth nine "
    "false alarms. Net benefit counts found findings less false alarms, weighed so, per image; a "
    "model is of use where it beats acting on every image and acting on none (decision curve "
    "analysis, Vickers and Elkin 2006). The probability is the calibrated one of all findings."
)
THRESHOLDS = np.arange(1, 61) / 100
SHOWN = (0.05, 0.1, 0.2, 0.3, 0.5)

Values = NDArray[np.float64]


class Curves(NamedTuple):
    """Net benefit by threshold: rows are resamples, columns `THRESHOLDS`."""

    ours: Values
    everybody: Values

    @property
    def gain(self) -> Values:
        """Over the better of acting on all and on none."""
        return self.ours - np.maximum(self.everybody, 0)


def look(subject: Subject, folder: Path) -> Finding | None:
    """Draw the decision curve of the test images; ``None`` where no finding is asked for."""
    question = any_finding(subject, "test")
    if question is None:
        return None
    prevalence, source = prevalence_told(subject, question)
    stated = None if subject.spec.operating.prevalence is None else prevalence
    seen = _curves(question, stated, np.ones((1, len(question.ill))))
    drawn = [
        _curves(question, stated, weights) for weights in draws(question.groups, seed=subject.seed)
    ]
    resampled = Curves(*(np.concatenate(parts) for parts in zip(*drawn, strict=True)))
    low, high = np.nanpercentile(resampled.ours, [2.5, 97.5], axis=0)
    least, most = np.nanpercentile(resampled.gain, [2.5, 97.5], axis=0)
    figures.save(
        decision_curve(
            THRESHOLDS, seen.ours[0], (low, high), everybody=seen.everybody[0], title=subject.title
        ),
        folder / "decision_curve.png",
    )
    places = {threshold: int(np.argmin(abs(THRESHOLDS - threshold))) for threshold in SHOWN}
    return Finding(
        title="Net benefit",
        about=ABOUT,
        said=(_said(least > 0), f"The prevalence is {source}.", *_learnt_elsewhere(stated)),
        warnings=_warned(most < 0),
        figures={f"net_benefit.{at:g}": float(seen.ours[0, k]) for at, k in places.items()},
        intervals={
            f"net_benefit.{at:g}": Interval(float(low[k]), float(high[k]))
            for at, k in places.items()
        },
        tables=(_table(places, seen, least=least, most=most),),
        pictures={
            "decision_curve.png": "Net benefit of acting on the model's answers, on every image, "
            "and on none, by the probability from which on one acts."
        },
    )


def _curves(question: Question, prevalence: float | None, weights: Weights) -> Curves:
    ours = net_benefit(
        question.ill, question.probability, THRESHOLDS, weights=weights, prevalence=prevalence
    )
    shares = weights @ question.ill / weights.sum(axis=1)
    if prevalence is not None:
        shares = np.full(len(weights), prevalence)
    return Curves(ours, of_acting_on_all(shares, THRESHOLDS))


def _said(better: NDArray[np.bool_]) -> str:
    if not better.any():
        return (
            "At no probability up to 60 % is acting on the model's answers shown to be better than "
            "acting on all images or on none."
        )
    first, last = THRESHOLDS[better][[0, -1]]
    return (
        "Acting on the model's answers is better than acting on all images or on none (95 % "
        f"interval above 0) from a probability of {first:.0%} to {last:.0%}."
    )


def _learnt_elsewhere(prevalence: float | None) -> tuple[str, ...]:
    if prevalence is None:
        return ()
    return (
        "The probabilities are those the service gives. They were learnt at the prevalence of the "
        "collection; where findings are rarer they promise too much, and this curve shows it.",
    )


def _warned(worse: NDArray[np.bool_]) -> tuple[str, ...]:
    if not worse.any():
        return ()
    first, last = THRESHOLDS[worse][[0, -1]]
    return (
        "Acting on the model's answers is worse than acting on all images or on none for who acts "
        f"from a probability of {first:.0%} to {last:.0%}: it does harm there, or is badly "
        "calibrated.",
    )


def _table(places: dict[float, int], seen: Curves, *, least: Values, most: Values) -> Table:
    return Table(
        title="Net benefit by the probability from which on one acts",
        columns=("acts from", "by the model", "on all", "gain over the better of all and none"),
        rows=tuple(
            (
                f"{at:.0%}",
                float(seen.ours[0, k]),
                float(seen.everybody[0, k]),
                f"{seen.gain[0, k]:.3f} ({least[k]:.3f} to {most[k]:.3f})",
            )
            for at, k in places.items()
        ),
    )
