"""What abstaining costs at each operating point, by two rules, on the answers of a real run.

    python -m benchmarks.operating_point brain_mri PREDICTIONS.parquet [--split test]
    python -m benchmarks.operating_point chest_xray --drawn

PREDICTIONS is an evaluation's ``evaluation/predictions.parquet``; ``--drawn`` draws the answers of
a two-class model that hardly ever gives a finding more than half. Thresholds are chosen on the
validation answers. An answer is given where its confidence is at least the data set's
``abstention.min_confidence``; confidence is either the probability of the decided class or its
certainty (docs/decisions/operating-point.md). Of each way to decide and each rule: coverage (share
of the images that are answered); of the images with a finding, the share that is answered as a
finding, that is answered as none (missed), and that is left to a person; accuracy of the answered.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.judging import thresholds_of
from pipelines.evaluation.predictions import decisions_of, labels_of
from pipelines.spec import DatasetSpec, load_spec

WAYS: dict[str, dict[str, Any]] = {
    "likeliest class": {},
    "Youden's J": {"youden": True},
    "sensitivity 0.99": {"finding_sensitivity": 0.99},
    "sensitivity 0.999": {"finding_sensitivity": 0.999},
    "cost ratio 9": {"cost_ratio": 9},
    "cost ratio 49": {"cost_ratio": 49},
    "specificity 0.99": {"finding_specificity": 0.99},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("predictions", type=Path, nargs="?")
    parser.add_argument("--drawn", action="store_true", help="answers drawn by chance")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    chosen = parser.parse_args()
    if chosen.drawn == (chosen.predictions is not None):
        parser.error("name the predictions of a run, or give --drawn")
    spec = load_spec(chosen.dataset)
    rows = draw(spec) if chosen.drawn else pd.read_parquet(chosen.predictions)
    print("\n".join(table(spec, rows, split=chosen.split)))


def draw(spec: DatasetSpec, *, images: int = 20_000) -> pd.DataFrame:
    """Answers to images of two classes, half of them with a finding, in both splits.

    Args:
        spec: of a data set with one finding and one other class.
        images: how many, in all.
    """
    (finding,), rng = spec.findings, np.random.default_rng(0)
    (other,) = (name for name in spec.class_names if name != finding)
    ill = rng.random(images) < 0.5
    share = np.where(ill, rng.beta(2, 4, images), rng.beta(1, 14, images))
    return pd.DataFrame(
        {
            "split": np.where(np.arange(images) % 2, "validation", "test"),
            "label": np.where(ill, finding, other),
            f"probability.{finding}": share,
            f"probability.{other}": 1 - share,
        }
    )


def table(spec: DatasetSpec, rows: pd.DataFrame, *, split: str) -> Iterator[str]:
    """The lines of the table, in Markdown.

    Args:
        spec: of the data set.
        rows: an evaluation's predictions.
        split: which part of them is judged.
    """
    validation, judged = rows[rows["split"] == "validation"], rows[rows["split"] == split]
    labels = labels_of(judged, spec.class_names)
    least = spec.abstention.min_confidence
    yield f"{spec.name}, {len(judged):,} {split} images; answered from a confidence of {least:g}"
    yield ""
    yield (
        "| decided by | threshold | confidence | coverage | findings found | missed "
        "| left to a person | accuracy of the answered |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for way, operating in WAYS.items():
        asked = DatasetSpec.model_validate(spec.model_dump() | {"operating": operating})
        thresholds = thresholds_of(asked, validation)
        answers = decisions_of(judged, spec.class_names, thresholds)
        limit = thresholds[spec.findings[0]] if thresholds else 0.5
        rules = {"probability": answers.confidence, "certainty": answers.certainty}
        for rule, confidence in rules.items():
            found = measure(answers, labels, confidence >= least, spec.findings)
            cells = " | ".join(f"{value:.3f}" for value in found)
            yield f"| {way} | {limit:.3f} | {rule} | {cells} |"


def measure(
    answers: Decisions,
    labels: NDArray[np.int64],
    answered: NDArray[np.bool_],
    findings: tuple[str, ...],
) -> tuple[float, ...]:
    """Coverage; of the findings, the share found, missed and left; accuracy of the answered."""
    harmful = np.isin(answers.classes, findings)
    ill, called = harmful[labels], harmful[answers.decided]
    return (
        float(answered.mean()),
        float((called & answered)[ill].mean()),
        float((~called & answered)[ill].mean()),
        float((~answered)[ill].mean()),
        float(answers.right(labels)[answered].mean()) if answered.any() else float("nan"),
    )


if __name__ == "__main__":
    main()
