"""Which test tells best that features have drifted: MMD, or a classifier, side by side.

    python -m benchmarks.drift_features BUNDLE

Takes the answers that `python -m benchmarks.drift BUNDLE …` has kept. A figure is the share of
windows with a p-value of at most 0.01: of clean ones it should be 1 %.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.drift_windows import SOME_OTHERS, Task, draw
from benchmarks.drifted import Pool, kept_in
from pipelines.evaluation.novelty import unit
from pipelines.monitoring.mmd import discrepancy, gaussian_kernel
from pipelines.monitoring.permutation import memberships, p_values
from pipelines.release.bundle import load_bundle

LIMIT = 0.01
CHOICES = 299
SIZES = (50, 200)

Floats = NDArray[np.float32]
Test = Callable[[Floats, NDArray[np.bool_], int], float]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--repetitions", type=int, default=40)
    asked = parser.parse_args()
    bundle = load_bundle(asked.bundle)
    folder = kept_in(bundle.manifest)
    classes = bundle.manifest.class_names
    pools = {file.stem: Pool.load(file, classes) for file in sorted(folder.glob("*.parquet"))}
    columns = [f"{name}, {size}" for name in TESTS for size in SIZES]
    print(f"| stream | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for kind in (*pools, SOME_OTHERS):
        shares = [
            _share(test, kind, size, pools=pools, repetitions=asked.repetitions)
            for test in TESTS.values()
            for size in SIZES
        ]
        print(f"| {kind} | {' | '.join(f'{share:.0%}' for share in shares)} |", flush=True)


def _share(test: Test, kind: str, size: int, *, pools: dict[str, Pool], repetitions: int) -> float:
    found = []
    for seed in range(repetitions):
        drawn = draw(Task(kind, size, seed), pools, None)
        features = np.concatenate([drawn.reference.answers.features, drawn.window.features])
        in_window = np.arange(len(features)) >= len(drawn.reference.answers)
        found.append(test(unit(features), in_window, seed) <= LIMIT)
    return float(np.mean(found))


def mmd(features: Floats, in_window: NDArray[np.bool_], seed: int) -> float:
    """Maximum mean discrepancy (Gretton et al. 2012), by permutations."""
    kernel = gaussian_kernel(features)
    return _permuted(lambda members: discrepancy(kernel, members), in_window, seed)


def mean_distance(features: Floats, in_window: NDArray[np.bool_], seed: int) -> float:
    """Distance of the means, each feature in its standard deviations; by permutations."""
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)

    def distance(members: Floats) -> NDArray[np.float64]:
        inside = scaled.T @ members / members.sum(axis=0)
        return np.asarray((inside**2).sum(axis=0), np.float64)  # all means together are 0

    return _permuted(distance, in_window, seed)


def classifier(features: Floats, in_window: NDArray[np.bool_], seed: int) -> float:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017): learn on one half which rows are the
    window's, and rank the other half; the p-value is that of the ranks."""
    random = np.random.default_rng(seed)
    half = random.permutation(len(features)) < len(features) / 2
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=200)
    )
    scores = model.fit(features[half], in_window[half]).decision_function(features[~half])
    inside = in_window[~half]
    return float(mannwhitneyu(scores[inside], scores[~inside], alternative="greater").pvalue)


def _permuted(
    statistic: Callable[[Floats], NDArray[np.float64]], in_window: NDArray[np.bool_], seed: int
) -> float:
    singles = [str(row) for row in range(len(in_window))]
    blocks = memberships(singles, in_window, choices=CHOICES, seed=seed)
    return float(p_values(np.concatenate([statistic(m) for m in blocks])[None])[0, 0])


TESTS: dict[str, Test] = {
    "MMD": mmd,
    "distance of means": mean_distance,
    "classifier": classifier,
}


if __name__ == "__main__":
    main()
