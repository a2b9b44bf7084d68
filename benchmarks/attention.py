"""Where a model looks, and how well lesions are found: the pictures of docs/evidence/attention.md.

    python -m benchmarks.attention DATASET LANDING FIGURES [CANDIDATE ...] [--segment]

Takes a landing folder through landing, snapshot, split and prepared images into a store of its own,
trains the named candidates on them, and holds each one's heat maps against bodies, lesions and
answers, as every evaluation does. With ``--segment`` a U-Net is trained on the masks, too.
Everything is kept in ``$MEDLOOP_HOME/cache``, so that a second call goes on where the first was
stopped.
"""

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.installation import own_installation
from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.land import ingest, landing
from pipelines.data.prepare import prepare
from pipelines.data.split import split
from pipelines.evidence.finding import Finding
from pipelines.outputs import Prepared
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context

if TYPE_CHECKING:
    from pipelines.evidence.subject import Subject

console = Console()


def main() -> None:
    """Train, look, draw and print."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _options()
    spec, context = load_spec(options.dataset), own_installation(f"attention-{options.dataset}")
    landed = landing.run(spec, context, str(options.landing.resolve()))
    snapshot = ingest.run(spec, context, landed)
    prepared = prepare.run(spec, context, snapshot, split.run(spec, context, snapshot))
    data = fetch(context, prepared)
    for name in options.candidates:
        _look(spec, context, prepared, data, name, figures=options.figures)
    if options.segment:
        _segment(spec, context, data, figures=options.figures)


def _look(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    data: TrainingSet,
    name: str,
    *,
    figures: Path,
) -> None:
    from pipelines.evaluation.network import Network
    from pipelines.evaluation.predictions import predict, with_decisions, with_probabilities
    from pipelines.evidence import attention
    from pipelines.evidence.subject import Subject
    from pipelines.training.train import train

    trained = train(
        spec.candidate(name),
        data,
        seed=spec.split.seed,
        workdir=context.settings.work / prepared.id / name,
        on_epoch=lambda *_: None,
    )
    network = Network.load(trained.path)
    answers = predict(network, data, ("test",))
    rows = with_probabilities(answers, data.classes, temperature=1.0)
    rows = with_decisions(rows, data.classes, None)
    subject = Subject(
        spec,
        context,
        prepared,
        name,
        data,
        network,
        rows,
        temperature=1.0,
        thresholds=None,
    )
    began = time.monotonic()
    finding = attention.look(subject, figures / f"attention-{spec.name}-{name}")
    _tell(subject, finding, seconds=time.monotonic() - began)


def _tell(subject: "Subject", finding: Finding, *, seconds: float) -> None:
    accuracy = subject.answers("test").right(subject.labels("test")).mean()
    console.rule(
        f"{subject.title}: accuracy by argmax {accuracy:.3f}, looked at for {seconds:.0f} s"
    )
    for text in (*finding.said, *finding.warnings):
        console.print(text)
    for name, value in finding.figures.items():
        console.print(f"{name} {value:.3f}", finding.intervals.get(name, ""))
    for found in finding.tables:
        table = Table(*found.columns, title=found.title)
        for row in found.rows:
            table.add_row(*(f"{x:.3f}" if isinstance(x, float) else str(x) for x in row))
        console.print(table)


def _segment(spec: DatasetSpec, context: Context, data: TrainingSet, *, figures: Path) -> None:
    from pipelines.segmentation.segment import measure
    from pipelines.segmentation.train import train

    model, progress = train(
        spec.segmenter,
        data,
        seed=spec.split.seed,
        folder=context.settings.work / data.id / "unet",
        on_epoch=lambda *_: None,
    )
    found = measure(spec, model, data, drawn=figures / f"segment-{spec.name}")
    console.rule(f"{spec.title}: U-Net, {progress.epochs} epochs, {progress.seconds:.0f} s")
    for name, value in found["figures"].items():
        console.print(f"{name} {value:.3f}", found["intervals"][name], f"of {found['images']}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("landing", type=Path)
    parser.add_argument("figures", type=Path)
    parser.add_argument("candidates", nargs="*")
    parser.add_argument("--segment", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
