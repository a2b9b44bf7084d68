"""How far do handmade features get? Logistic regressions by Spark ML, on a data set's own split.

    python -m benchmarks.handmade brain_mri

Each line is a candidate of recipe ``logistic``: as published (10 iterations, penalty 0.05, of it
0.3 on absolute values), and with the penalty chosen on the validation split. No network is
trained, MLflow is not asked, nothing is registered; the features stay in the store.
"""

import argparse
from collections.abc import Sequence

from pipelines import loop
from pipelines.evaluation.answers import ordered
from pipelines.evaluation.calibration import fit_temperature
from pipelines.evaluation.judging import judge
from pipelines.evaluation.predictions import labels_of, logits_of, with_probabilities
from pipelines.evaluation.record import SplitFigures
from pipelines.outputs import Prepared, SplitName
from pipelines.spec import CandidateSpec, DatasetSpec, load_spec
from pipelines.spec.logistic import NO_NETWORK
from pipelines.stage import Context, default_context, existing_output
from pipelines.training import logistic
from pipelines.training.logistic import Regression

PUBLISHED = {"iterations": 10, "regularisation": [0.05], "elastic_net": [0.3]}
KINDS = ("pixels", "texture", "deep")
FIGURES = ("accuracy", "macro_sensitivity", "macro_auroc")


def candidates(backbone: str) -> list[CandidateSpec]:
    """Both forms of each kind of features."""
    found = []
    for kind in KINDS:
        model = backbone if kind == "deep" else NO_NETWORK
        for name, settings in (("published", PUBLISHED), ("tuned", {})):
            fields = {
                "name": f"{kind}-{name}",
                "model": model,
                "recipe": "logistic",
                "logistic": {"features": kind, **settings},
                "balance": "none" if name == "published" else "class_weights",
            }
            found.append(CandidateSpec.model_validate(fields))
    return found


def measured(
    spec: DatasetSpec, context: Context, prepared: Prepared, candidate: CandidateSpec
) -> tuple[Regression, dict[SplitName, SplitFigures]]:
    """Fit a candidate and judge it on both held-out splits, by the likeliest class (argmax)."""
    done = logistic.train(spec, context, prepared, candidate)
    classes = spec.class_names
    images = done.described.images
    images = images[images["split"] != "train"]
    named = images.assign(label=[classes[label] for label in images["label"]])
    rows = ordered(named, logistic.answers(done, classes), classes)
    validation = rows[rows["split"] == "validation"]
    temperature = fit_temperature(logits_of(validation, classes), labels_of(validation, classes))
    rows = with_probabilities(rows, classes, temperature=temperature)
    splits: tuple[SplitName, ...] = ("validation", "test")
    figures = {
        split: judge(spec, rows[rows["split"] == split], thresholds=None) for split in splits
    }
    return done, figures


def line(candidate: CandidateSpec, done: Regression, found: dict[SplitName, SplitFigures]) -> str:
    """A row of the table."""
    kept, test = done.best.penalty, found["test"]
    cells = [candidate.name, f"{kept.regularisation:g}, {kept.elastic_net:g}"]
    cells.append(f"{found['validation'].figures['accuracy']:.3f}")
    for name in FIGURES:
        low, high = test.intervals[name][:2]
        cells.append(f"{test.figures[name]:.3f} ({low:.3f} to {high:.3f})")
    cells.append(f"{done.seconds:.0f}")
    return f"| {' | '.join(cells)} |"


def _prepared(dataset: str, identity: str | None) -> Prepared:
    if identity is None:
        snapshot = loop.latest_snapshot(dataset)
        return loop.prepare(dataset, snapshot, loop.split(dataset, snapshot))
    found = existing_output(default_context(), f"{dataset}/training_sets/{identity}", Prepared)
    if found is None:
        raise SystemExit(
            f"There is no training set {dataset}/training_sets/{identity} in the store."
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument(
        "--prepared", help="ID of the training set; that of the newest snapshot if none"
    )
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--only", help="one of the candidates, such as texture-published")
    chosen = parser.parse_args(arguments)
    spec, context = load_spec(chosen.dataset), default_context()
    prepared = _prepared(chosen.dataset, chosen.prepared)
    heads = ("test accuracy", "test macro sensitivity", "test macro AUROC")
    print(f"| candidate | penalty, L1 share | validation accuracy | {' | '.join(heads)} | s |")
    print("|---|---|---|---|---|---|---|")
    for candidate in candidates(chosen.backbone):
        if chosen.only in (None, candidate.name):
            print(line(candidate, *measured(spec, context, prepared, candidate)), flush=True)


if __name__ == "__main__":
    main()
