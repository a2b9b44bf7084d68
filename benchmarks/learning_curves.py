"""How often a learning curve is said to rise that is flat, and one that rises: simulated trainings.

    python -m benchmarks.learning_curves

Each simulated training has a true error rate that differs from the law's by chance (``spread``,
the standard deviation of its log odds), and errs on images that are as hard for it as for the
others. ``before`` is one training of each size and resampled images only, as studies did until
this was measured; the other is `pipelines.studies.power_law` with five trainings of each size.
A claim is false where the true curve is flat; by chance alone 2.5 % are.
"""

import argparse
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipelines.studies.power_law import LEAST_REPEATS, fit

IMAGES = (340, 850, 1700, 3400)
HELD_OUT = 500
RESAMPLES = 200
HARD = 1.0
"""Standard deviation, in log odds, of how hard images are for all trainings alike."""

Floats = NDArray[np.float64]


def main() -> None:
    """Print shares of runs in which a rise is claimed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    options = parser.parse_args()
    print("| error at the end | spread | exponent | before | five trainings of each size |")
    print("|---|---|---|---|---|")
    for error in (0.03, 0.1, 0.3):
        for spread in (0.0, 0.1, 0.2, 0.4):
            for exponent in (0.0, 0.2, 0.4):
                shares = [
                    np.mean([
                        rises(simulated(error, exponent, spread, repeats, seed=seed))
                        for seed in range(options.runs)
                    ])
                    for repeats in (1, LEAST_REPEATS)
                ]  # fmt: skip
                told = " | ".join(f"{share:.1%}" for share in shares)
                print(f"| {error} | {spread} | {exponent} | {told} |", flush=True)


def simulated(
    error: float, exponent: float, spread: float, repeats: int, *, seed: int
) -> NDArray[np.bool_]:
    """(sizes, repeats, held out) which images each training errs on."""
    drawn = np.random.default_rng(seed)
    sizes = np.asarray(IMAGES, np.float64)
    rates = np.minimum(error * (sizes / sizes[-1]) ** -exponent, 0.9)
    hard = drawn.normal(0, HARD, HELD_OUT)
    # A logistic variable of this scale is near the sum of the hardness and what is a training's.
    level = np.log(rates / (1 - rates)) * np.sqrt(1 + HARD**2 / 3.3)
    shift = drawn.normal(0, spread, (len(sizes), repeats, 1))
    own = drawn.logistic(0, 1, (len(sizes), repeats, HELD_OUT))
    return np.asarray(own < level[:, None, None] + shift + hard)


def resampled(wrong: NDArray[np.bool_], *, seed: int = 0) -> Floats:
    """(sizes, repeats, resamples) shares of errors on resampled images."""
    return np.asarray(wrong @ _weights(wrong.shape[-1], seed))


@cache
def _weights(images: int, seed: int) -> Floats:
    """(images, resamples) the share of each image in each resample."""
    drawn = np.random.default_rng(seed)
    times = drawn.multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return np.asarray(times.T / images)


def rises(wrong: NDArray[np.bool_]) -> bool:
    """Whether a rise is claimed."""
    errors, again = wrong.mean(axis=-1), resampled(wrong)
    least = 0.5 / wrong.shape[-1]
    if errors.shape[1] > 1:
        return fit(IMAGES, errors, again, least=least).exponent.low > 0
    logs = np.log(np.maximum(again[:, 0], 1e-4))
    slope, _ = np.polyfit(np.log(IMAGES), logs, 1)
    return bool(np.percentile(-slope, 2.5) > 0)


if __name__ == "__main__":
    main()
