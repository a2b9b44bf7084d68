"""Ways to estimate a window's accuracy without labels, side by side.

    python -m benchmarks.drift_estimates BUNDLE

Takes the answers that `python -m benchmarks.drift BUNDLE …` has kept. A figure is the mean
absolute error over windows of 200, and in brackets the mean error: above 0 promises too much.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_windows import MIXED, SOME_OTHERS, Task, draw
from benchmarks.drifted import Pool, kept_in
from pipelines.monitoring import estimate as estimates
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.reference import Reference
from pipelines.release.bundle import load_bundle

SIZE = 200

Way = Callable[[Reference, Answers], float]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--repetitions", type=int, default=60)
    asked = parser.parse_args()
    bundle = load_bundle(asked.bundle)
    folder, classes = kept_in(bundle.manifest), bundle.manifest.class_names
    pools = {file.stem: Pool.load(file, classes) for file in sorted(folder.glob("*.parquet"))}
    estimates.RESAMPLES = 1  # only the middle is asked for
    print(f"| stream | accuracy | {' | '.join(WAYS)} |\n|---|---|{'---|' * len(WAYS)}")
    for kind in (*pools, MIXED, SOME_OTHERS):
        truths, errors = _errors(kind, pools, asked.repetitions)
        cells = [f"{np.abs(line).mean():.3f} ({line.mean():+.3f})" for line in errors.T]
        print(f"| {kind} | {truths.mean():.3f} | {' | '.join(cells)} |", flush=True)


def _errors(
    kind: str, pools: dict[str, Pool], repetitions: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    truths, errors = [], []
    for seed in range(repetitions):
        drawn = draw(Task(kind, SIZE, seed), pools, None)
        truth = float(drawn.window.decisions.right(drawn.labels).mean())
        truths.append(truth)
        errors.append([way(drawn.reference, drawn.window) - truth for way in WAYS.values()])
    return np.array(truths), np.array(errors)


def mean_confidence(_: Reference, window: Answers) -> float:
    """As the model says."""
    return float(window.confidence.mean())


def calibrated(reference: Reference, window: Answers) -> float:
    """The one that is used."""
    return estimates.estimate(reference, window).accuracy


def thresholded(reference: Reference, window: Answers) -> float:
    """Average thresholded confidence (Garg et al., ICLR 2022): the share of answers surer than
    the limit beyond which lie as many of the reference as are right."""
    limit = np.quantile(reference.answers.confidence, 1 - reference.right.mean())
    return float((window.confidence >= limit).mean())


def unchanged(reference: Reference, _: Answers) -> float:
    """As on the reference, whatever comes."""
    return float(reference.right.mean())


WAYS: dict[str, Way] = {
    "calibrated on the reference": calibrated,
    "mean confidence": mean_confidence,
    "thresholded confidence": thresholded,
    "as on the reference": unchanged,
}


if __name__ == "__main__":
    main()
