"""What a crop to the lesion is worth: a candidate with and without it, on the same split.

    python -m benchmarks.lesion_crop DATASET LANDING [CANDIDATE] [--epochs 40]

Takes a landing folder to its split, trains a U-Net on the masks of the training images, prepares
the images whole and cropped to what it finds, trains the candidate on each, and prints figures of
validation and test split with 95 % intervals, resampled by group. Everything is kept in
``$MEDLOOP_HOME/cache``: a second call goes on where the first was stopped.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.installation import own_installation
from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.land import ingest, landing
from pipelines.data.prepare import prepare
from pipelines.data.prepare.segmenters import Segmenters
from pipelines.data.split import split
from pipelines.evaluation.intervals import Interval
from pipelines.outputs import Prepared, Segmenter, Snapshot, Split, SplitName
from pipelines.segmentation import folds, segmenter
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context, existing_output

FIGURES = ("macro_auroc", "macro_auprc", "accuracy")
HEAT = ("pointing_game", "energy_inside")
BLIND = ("always the centre", "knows nothing")
"""Maps that look at no picture: what a crop alone does to the figures of heat."""
SPLITS: tuple[SplitName, ...] = ("validation", "test")

console = Console(width=110)


@dataclass(frozen=True)
class Measured:
    """What a candidate comes to on images that are fitted in one way."""

    figures: dict[str, float]
    intervals: dict[str, Interval]

    def cell(self, name: str) -> str:
        """A figure with its interval."""
        low, high = self.intervals.get(name, (None, None))
        bounds = f" ({low:.3f} to {high:.3f})" if low is not None else ""
        return f"{self.figures[name]:.3f}{bounds}" if name in self.figures else "-"


def main() -> None:
    """Train, measure and print."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _options()
    context = own_installation(f"lesion-crop-{options.dataset}")
    spec = load_spec(options.dataset)
    cropped = _changed(spec, {"image": {"crop": "lesion"}, "segmenter": {"epochs": options.epochs}})
    whole = segmenter.uncropped(cropped)
    landed = landing.run(whole, context, str(options.landing.resolve()))
    snapshot = ingest.run(whole, context, landed)
    divided = split.run(whole, context, snapshot)
    plain = prepare.run(whole, context, snapshot, divided)
    found = _segmenters(cropped, context, snapshot, divided, plain)
    ready = prepare.run(cropped, context, snapshot, divided, found)
    console.print(context.store.read_json(f"{ready.path}/stats.json")["test"]["uncropped"])
    columns = {
        "whole": _measure(whole, context, plain, options.candidate),
        "cropped": _measure(cropped, context, ready, options.candidate),
    }
    table = Table("figure", *columns, title=f"{spec.title}: {options.candidate}")
    for name in columns["whole"].figures:
        table.add_row(name, *(measured.cell(name) for measured in columns.values()))
    console.print(table)


def _changed(spec: DatasetSpec, changes: dict[str, dict[str, object]]) -> DatasetSpec:
    said = spec.model_dump()
    return DatasetSpec.model_validate(
        said | {name: said[name] | fields for name, fields in changes.items()}
    )


def _segmenters(
    spec: DatasetSpec, context: Context, snapshot: Snapshot, divided: Split, plain: Prepared
) -> Segmenters:
    """As `pipelines.segmentation.segmenter.run`, without MLflow."""
    masks = segmenter.masks_learnt(context, snapshot, divided)
    group_of = segmenter.groups_of(context, snapshot, divided)
    fold_of = folds.divided(
        (group_of[image] for name, image, _ in masks if name == "train"),
        folds=spec.segmenter.folds,
        seed=spec.split.seed,
    )
    final = _final(spec, context, masks, plain)
    cross_fitted = segmenter.cross_fitted(spec, context, masks, group_of, fold_of, lambda: plain)
    return Segmenters(final, cross_fitted, fold_of)


def _final(
    spec: DatasetSpec, context: Context, masks: segmenter.Masks, plain: Prepared
) -> Segmenter:
    from pipelines.segmentation.segment import measure
    from pipelines.segmentation.train import train

    path = segmenter.path_of(spec, context, masks)
    if (done := existing_output(context, path, Segmenter)) is not None:
        return done
    data = fetch(context, plain)
    folder = context.settings.work / path
    model, progress = train(
        spec.segmenter, data, seed=spec.split.seed, folder=folder, on_epoch=lambda *_: None
    )
    console.rule(f"U-Net: {progress.epochs} epochs, {progress.seconds:.0f} s")
    drawn = folder / "figures"
    drawn.mkdir(exist_ok=True)
    seen = measure(segmenter.uncropped(spec), model, data, drawn=drawn)
    for name, value in seen["figures"].items():
        console.print(f"{name} {value:.3f}", seen["intervals"][name], f"of {seen['images']}")
    return segmenter.keep(spec, context, model, masks)


def _measure(spec: DatasetSpec, context: Context, prepared: Prepared, name: str) -> Measured:
    from pipelines.evaluation import intervals, metrics
    from pipelines.evaluation.judging import thresholds_of
    from pipelines.evaluation.network import Network
    from pipelines.evaluation.predictions import (
        decisions_of,
        labels_of,
        predict,
        with_decisions,
        with_probabilities,
    )
    from pipelines.evidence import attention
    from pipelines.evidence.subject import Subject
    from pipelines.training.train import train

    data: TrainingSet = fetch(context, prepared)
    workdir = context.settings.work / prepared.id / name
    trained = train(
        spec.candidate(name),
        data,
        seed=spec.split.seed,
        workdir=workdir,
        on_epoch=lambda *_: None,
    )
    network = Network.load(trained.path)
    rows = with_probabilities(predict(network, data, SPLITS), data.classes, temperature=1.0)
    thresholds = thresholds_of(spec, rows[rows["split"] == "validation"])
    rows = with_decisions(rows, data.classes, thresholds)
    figures: dict[str, float] = {}
    limits: dict[str, Interval] = {}
    for part in SPLITS:
        asked = rows[rows["split"] == part]
        said = labels_of(asked, data.classes), decisions_of(asked, data.classes, thresholds)
        values = metrics.measure(*said, findings=spec.findings)
        bounds = intervals.bootstrap(
            *said,
            groups=asked["group"].tolist(),
            seed=spec.split.seed,
            findings=spec.findings,
        )
        figures |= {f"{part}.{figure}": values[figure] for figure in FIGURES}
        limits |= {f"{part}.{figure}": bounds[figure] for figure in FIGURES if figure in bounds}
    subject = Subject(
        spec,
        context,
        prepared,
        name,
        data,
        network,
        rows,
        temperature=1.0,
        thresholds=thresholds,
    )
    heat = attention.look(subject, workdir / "figures")
    figures |= {figure: heat.figures[figure] for figure in HEAT if figure in heat.figures}
    limits |= {figure: heat.intervals[figure] for figure in HEAT if figure in heat.intervals}
    for way, _, *shares in heat.tables[0].rows:
        if way in BLIND:
            told = zip(HEAT, shares, strict=True)
            figures |= {f"{name}, {way}": float(str(share)) for name, share in told}
    return Measured(figures, limits)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("landing", type=Path)
    parser.add_argument("candidate", nargs="?", default="lite0-frozen")
    parser.add_argument("--epochs", type=int, default=40, help="of the U-Net, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
