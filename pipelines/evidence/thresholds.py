"""Thresholds: what is missed and what is a false alarm, by how much a finding must stand out."""

from pathlib import Path

import numpy as np

from pipelines.evaluation import figures
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.operating_point import EVEN, threshold_at, threshold_for, youden
from pipelines.evaluation.predictive_values import Decided, decided_at
from pipelines.evidence.curves import threshold_curves
from pipelines.evidence.finding import Cell, Finding, Table
from pipelines.evidence.question import Question, any_finding, prevalence_told
from pipelines.evidence.subject import Subject

ABOUT = (
    "An image is called a finding where the likeliest finding's probability, as a share of its sum "
    "with that of the likeliest other class, is above a threshold; 0.5 is deciding for the "
    "likeliest class. The thresholds named here were chosen on the validation images and are "
    "judged on the test images: Youden's J (1950) weighs a missed finding and a false alarm "
    "alike, a target sensitivity says how many findings may be missed, a target specificity how "
    "many others may be called one. Predictive values are those at the prevalence given (Altman "
    "and Bland 1994)."
)
SENSITIVITIES = (0.9, 0.95, 0.99)
GRID = (0.01, 0.02, 0.05, *np.arange(0.1, 0.91, 0.1).round(1).tolist(), 0.95, 0.98, 0.99)


def look(subject: Subject, folder: Path) -> Finding | None:
    """Judge thresholds for any finding; ``None`` where that is no question."""
    validation, test = any_finding(subject, "validation"), any_finding(subject, "test")
    if validation is None or test is None:
        return None
    prevalence, source = prevalence_told(subject, test)
    chosen = _chosen(subject, validation)
    limits = (*chosen.values(), *GRID)
    judged = decided_at(
        test.ill,
        test.share,
        limits,
        prevalence=prevalence,
        groups=test.groups,
        seed=subject.seed,
    )
    named = dict(zip(chosen, judged, strict=False))
    figures.save(
        threshold_curves(judged[len(chosen) :], chosen, title=subject.title),
        folder / "thresholds.png",
    )
    even = named["the likeliest class"]
    return Finding(
        title="Thresholds for any finding",
        about=ABOUT,
        said=(
            f"Deciding for the likeliest class, {1 - even.sensitivity.value:.1%} of the findings "
            f"are missed and {1 - even.specificity.value:.1%} of the other images are called one.",
            f"Predictive values are for a prevalence of {source}.",
        ),
        warnings=tuple(_warnings(subject, named)),
        figures=_figures(named),
        intervals=_intervals(named),
        tables=(
            _table("Thresholds chosen on validation, judged on the test images", named),
            _table(
                "Other thresholds", {f"{one.threshold:g}": one for one in judged[len(chosen) :]}
            ),
        ),
        pictures={
            "thresholds.png": "Sensitivity, specificity and predictive values by threshold, on the "
            "test images; dotted: thresholds chosen on validation."
        },
    )


def _chosen(subject: Subject, validation: Question) -> dict[str, float]:
    """What a threshold is for → the threshold, by the validation images."""
    operating = subject.spec.operating
    target, stated = operating.finding_sensitivity, operating.stated_threshold
    specificity = operating.finding_specificity
    asked = sorted({*SENSITIVITIES, *([target] if target else [])})
    return {
        "the likeliest class": EVEN,
        **({"as the data set states": stated} if stated else {}),
        "Youden's J": youden(validation.ill, validation.share),
        **{
            f"sensitivity {asked_for:g}": threshold_for(
                validation.ill, validation.share, sensitivity=asked_for
            )
            for asked_for in asked
        },
        **(
            {
                f"specificity {specificity:g}": threshold_at(
                    validation.ill, validation.share, specificity=specificity
                )
            }
            if specificity
            else {}
        ),
    }


def _warnings(subject: Subject, named: dict[str, Decided]) -> list[str]:
    operating = subject.spec.operating
    if operating.finding_sensitivity is not None:
        what, target = "sensitivity", operating.finding_sensitivity
        asked, even = named[f"{what} {target:g}"], named["the likeliest class"]
        reached = (asked if asked.threshold < even.threshold else even).sensitivity
    elif operating.finding_specificity is not None:
        what, target = "specificity", operating.finding_specificity
        reached = named[f"{what} {target:g}"].specificity
    else:
        return []
    if reached.interval.high >= target:
        return []
    return [
        f"The target {what} of {target:g}, reached on the validation images, is not reached on the "
        f"test images: {reached.value:.3f} ({_bounds(reached.interval)}). They show something "
        "that the validation images do not."
    ]


def _figures(named: dict[str, Decided]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, one in named.items():
        told = {
            "threshold": one.threshold,
            "sensitivity": one.sensitivity.value,
            "specificity": one.specificity.value,
            "ppv": one.ppv[0],
            "npv": one.npv[0],
        }
        found |= {f"{what}.{_slug(name)}": value for what, value in told.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _intervals(named: dict[str, Decided]) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for name, one in named.items():
        told = {
            "sensitivity": one.sensitivity.interval,
            "specificity": one.specificity.interval,
            "ppv": one.ppv[1],
            "npv": one.npv[1],
        }
        found |= {f"{what}.{_slug(name)}": interval for what, interval in told.items()}
    return {name: interval for name, interval in found.items() if np.isfinite(interval).all()}


def _slug(name: str) -> str:
    """A threshold as figures are named."""
    short = {
        "the likeliest class": "likeliest",
        "as the data set states": "stated",
        "Youden's J": "youden",
    }
    return short.get(
        name, name.replace("sensitivity ", "at_").replace("specificity ", "at_specificity_")
    )


def _table(title: str, named: dict[str, Decided]) -> Table:
    rows = [(name, *_told(one)) for name, one in named.items()]
    columns = ("", "threshold", "called", "sensitivity", "specificity", "PPV", "NPV")
    return Table(title=title, columns=columns, rows=tuple(rows))


def _told(one: Decided) -> tuple[Cell, ...]:
    rated = [(rate.value, rate.interval) for rate in (one.sensitivity, one.specificity)]
    cells = [
        f"{value:.3f} ({_bounds(interval)})" if np.isfinite(value) else None
        for value, interval in (*rated, one.ppv, one.npv)
    ]
    return (one.threshold, f"{one.called:.1%}", *cells)


def _bounds(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"
