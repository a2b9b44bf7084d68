"""Where the model looks: Grad-CAM held against the body, the lesions, and the model itself."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.intervals import Interval
from pipelines.evidence import attention_pictures as pictures
from pipelines.evidence.finding import Finding, Table
from pipelines.evidence.heat import Explainer, Maps
from pipelines.evidence.perturbation import Curves, area, curves, faithfulness
from pipelines.evidence.pointing import (
    Pointing,
    Values,
    by_chance,
    centre,
    gain_interval,
    hits_interval,
    inside_body,
    mean_interval,
    pointing,
)
from pipelines.evidence.randomisation import Stage, cascade
from pipelines.evidence.sample import Sample, draw_sample
from pipelines.evidence.subject import Subject

GRAD_CAM = "Grad-CAM"
BY_CHANCE = "random order"
IMAGES = 192
"""Test images whose maps are drawn; a seeded sample where there are more."""
PERTURBED = 24
"""Of these, those whose pixels are taken away and brought in."""
RANDOMISED = 8
"""Of these, those that the randomised model is asked about."""
LEAST_INSIDE = 0.5
"""Share of the heat on the body below which somebody has to know."""
MOST_ALIKE = 0.5
"""Rank correlation with a random model's maps from which somebody has to know."""
ABOUT = (
    "Grad-CAM (Selvaraju et al. 2017) of the decided class on {images} test images. How much of "
    "the heat lies on the body. Where a mask shows the lesion: whether the hottest pixel lies in "
    "it (pointing game, Zhang et al. 2018) and how much of the heat does (Wang et al. 2020), "
    "beside a map that is always hottest in the centre and one that knows nothing. Deletion and "
    "insertion (Petsiuk et al. 2018): if the hottest pixels matter, blurring them first lowers "
    "the answer fast, and bringing them in first raises it fast. Randomisation (Adebayo et al. "
    "2018): a model whose weights are made random must draw other maps."
)


@dataclass(frozen=True)
class Looked:
    """All that the maps were held against."""

    sample: Sample
    heats: Maps
    inside: Values
    """Share of each map's heat on the body."""
    found: Pointing
    """On the images with a mask."""
    asked: dict[str, Curves]
    """Order of the pixels → how the answers follow."""
    stages: list[Stage]


def look(subject: Subject, folder: Path) -> Finding:
    """Hold a candidate's heat maps against bodies, lesions and answers."""
    explainer = Explainer(subject.required_network)
    looked = _look(subject, explainer)
    figures = _figures(looked)
    return Finding(
        title="Where the model looks",
        about=ABOUT.format(images=len(looked.heats)),
        said=_said(figures),
        warnings=_warnings(figures),
        figures=figures,
        intervals=_intervals(looked, seed=subject.seed),
        tables=(*_pointing_table(looked), _curves_table(looked), _stages_table(looked)),
        pictures=_draw(subject, looked, explainer, folder),
    )


def _look(subject: Subject, explainer: Explainer) -> Looked:
    sample = draw_sample(subject, IMAGES)
    heats = explainer.heats(sample.pictures, sample.decided)
    few = slice(RANDOMISED)
    return Looked(
        sample=sample,
        heats=heats,
        inside=inside_body(heats, sample.pictures),
        found=pointing(heats[sample.masked], sample.masks),
        asked=_perturbed(subject, sample, heats),
        stages=cascade(explainer, sample.pictures[few], sample.decided[few], seed=subject.seed),
    )


def _figures(looked: Looked) -> dict[str, float]:
    empty = np.isnan(looked.inside)
    figures = {
        "inside_body": float(looked.inside[~empty].mean()) if not empty.all() else 0.0,
        "empty": float(empty.mean()),
        "sanity_correlation": looked.stages[-1].correlation,
        "deletion": area(looked.asked[GRAD_CAM].deletion),
        "insertion": area(looked.asked[GRAD_CAM].insertion),
        "deletion_by_chance": area(looked.asked[BY_CHANCE].deletion),
        "insertion_by_chance": area(looked.asked[BY_CHANCE].insertion),
        "faithfulness": float(_faithfulness(looked).mean()),
    }
    if not len(looked.sample.masked):
        return figures
    return (
        figures
        | {
            "masks": float(len(looked.sample.masked)),
            "pointing_game": float(looked.found.hits.mean()),
            "energy_inside": float(looked.found.energy.mean()),
            "pointing_gain": _gain(looked),
        }
        | _of_findings(looked)
    )


def _faithfulness(looked: Looked) -> Values:
    return faithfulness(looked.asked[GRAD_CAM], looked.asked[BY_CHANCE])


def _gain(looked: Looked) -> float:
    """The pointing game less what a map that knows nothing is expected to come to."""
    pointed = _pointed(looked.sample)
    hits, chance = looked.found.hits, by_chance(looked.sample.masks).hits
    return float((hits - chance)[pointed].mean())


def _pointed(sample: Sample) -> NDArray[np.bool_]:
    """(m,) which images with a mask have to be pointed at: those called a finding, else all."""
    called = _called(sample)
    return np.ones(len(sample.masked), bool) if called is None else called


def _of_findings(looked: Looked) -> dict[str, float]:
    called = _called(looked.sample)
    if called is None:
        return {}
    return {
        "masks_of_findings": float(called.sum()),
        "pointing_game_of_findings": float(looked.found.hits[called].mean()),
    }


def _called(sample: Sample) -> NDArray[np.bool_] | None:
    """(m,) which images with a mask were called a finding; ``None`` where all were, or none.

    The pointing game asks where a thing is. What speaks for "no finding" may lie anywhere.
    """
    called = sample.called[sample.masked]
    return called if called.any() and not called.all() else None


def _intervals(looked: Looked, *, seed: int) -> dict[str, Interval]:
    groups, masked = looked.sample.groups, looked.sample.masked
    called = _called(looked.sample)
    measured = {
        "inside_body": (looked.inside, groups),
        "energy_inside": (looked.found.energy, groups[masked]),
        "faithfulness": (_faithfulness(looked), groups[:PERTURBED]),
    }
    intervals = {
        name: mean_interval(values, of.tolist(), seed=seed)
        for name, (values, of) in measured.items()
        if not np.isnan(values).all()
    }
    if not len(masked):
        return intervals
    hits, of_masked = looked.found.hits, groups[masked].tolist()
    intervals["pointing_game"] = hits_interval(hits, of_masked, seed=seed)
    if called is not None:
        of_called = groups[masked][called].tolist()
        intervals["pointing_game_of_findings"] = hits_interval(hits[called], of_called, seed=seed)
    pointed = _pointed(looked.sample)
    intervals["pointing_gain"] = gain_interval(
        hits[pointed],
        by_chance(looked.sample.masks).hits[pointed],
        groups[masked][pointed].tolist(),
        seed=seed,
    )
    return intervals


def _draw(subject: Subject, looked: Looked, explainer: Explainer, folder: Path) -> dict[str, str]:
    title, sample = subject.title, looked.sample
    return {
        **pictures.draw_pointing(
            sample,
            looked.heats,
            looked.found,
            folder=folder,
            classes=subject.classes,
            title=title,
        ),
        **pictures.draw_curves(looked.asked, folder, title=title),
        **pictures.draw_cascade(looked.stages, sample, explainer.cells, folder=folder, title=title),
    }


def _perturbed(subject: Subject, sample: Sample, heats: Maps) -> dict[str, Curves]:
    """The curves of the heat maps, and of orders that know nothing of the model."""
    few, size = sample.pictures[:PERTURBED], heats.shape[1]
    rng = np.random.default_rng(subject.seed)
    orders: dict[str, Maps] = {
        GRAD_CAM: heats[: len(few)],
        "from the centre": np.broadcast_to(centre(size), (len(few), size, size)),
        BY_CHANCE: rng.random((len(few), size, size), np.float32),
    }
    network, targets = subject.required_network, sample.decided[:PERTURBED]

    def ask(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return softmax(network.logits(images), 1)

    return {name: curves(ask, few, order, targets=targets) for name, order in orders.items()}


def _said(figures: dict[str, float]) -> tuple[str, ...]:
    said = [f"{figures['inside_body']:.0%} of the heat lies on the body."]
    if "masks" in figures:
        said.append(
            f"On {figures['masks']:.0f} images with a mask, the hottest pixel lies in the lesion "
            f"{figures['pointing_game']:.0%} of the time, and {figures['energy_inside']:.0%} of "
            "the heat does."
        )
    if "masks_of_findings" in figures:
        said.append(
            f"On the {figures['masks_of_findings']:.0f} of them that were called a finding, it "
            f"lies there {figures['pointing_game_of_findings']:.0%} of the time; what speaks for "
            "no finding may lie anywhere."
        )
    said.append(
        "With all weights random, the maps have a rank correlation of "
        f"{figures['sanity_correlation']:.2f} with those of the trained model."
    )
    return tuple(said)


def _warnings(figures: dict[str, float]) -> tuple[str, ...]:
    warnings = []
    if figures["inside_body"] < LEAST_INSIDE:
        warnings.append(
            f"Only {figures['inside_body']:.0%} of the heat lies on the body: the answers may rest "
            "on something that is no anatomy."
        )
    if figures["sanity_correlation"] > MOST_ALIKE:
        warnings.append(
            "The maps hardly change when all weights are made random: they show the picture, not "
            "what the model has learned."
        )
    if figures["deletion"] > figures["deletion_by_chance"]:
        warnings.append(
            "Taking the hottest pixels away lowers the answers no faster than taking any: the "
            "maps do not show what the answers rest on."
        )
    return tuple(warnings)


def _pointing_table(looked: Looked) -> tuple[Table, ...]:
    sample, found = looked.sample, looked.found
    if not len(sample.masked):
        return ()
    right = (sample.labels == sample.decided)[sample.masked]
    middle = np.broadcast_to(centre(sample.masks.shape[1]), sample.masks.shape)
    ways = {
        GRAD_CAM: found,
        f"{GRAD_CAM}, right answers": Pointing(found.hits[right], found.energy[right]),
        f"{GRAD_CAM}, wrong answers": Pointing(found.hits[~right], found.energy[~right]),
        "always the centre": pointing(middle, sample.masks),
        "knows nothing": by_chance(sample.masks),
    }
    called = _called(sample)
    if called is not None:
        ways[f"{GRAD_CAM}, called a finding"] = Pointing(found.hits[called], found.energy[called])
    rows = tuple(
        (name, len(way.hits), float(way.hits.mean()), float(way.energy.mean()))
        for name, way in ways.items()
        if len(way.hits)
    )
    columns = ("map", "images", "pointing game", "energy inside")
    return (Table(title="Heat on the lesions", columns=columns, rows=rows),)


def _curves_table(looked: Looked) -> Table:
    return Table(
        title="Area under deletion (less is better) and insertion (more is better)",
        columns=("order of pixels", "deletion", "insertion"),
        rows=tuple((way, area(c.deletion), area(c.insertion)) for way, c in looked.asked.items()),
    )


def _stages_table(looked: Looked) -> Table:
    return Table(
        title="Rank correlation of the maps with the trained model's",
        columns=("weights", "correlation"),
        rows=tuple((stage.said, stage.correlation) for stage in looked.stages),
    )
