"""How well a bundle tells images of another kind: ways to measure unlikeness, side by side.

    python -m benchmarks.novelty BUNDLE PREPARED [OTHER_PREPARED ...]

BUNDLE is a bundle's folder, PREPARED the training set, in the cache, that its model was trained on,
the others those of other collections. scikit-learn brings two natural pictures; the rest is made
here. A figure is the AUROC against the test split, and the share flagged at the distance that 1 %
of the validation images lie beyond.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from pipelines.data.input.cache import read_set
from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.novelty import fit_novelty, pool, unit
from pipelines.outputs import SplitName
from pipelines.release.bundle import load_bundle
from pipelines.release.runtime import Runtime, Tuning, open_runtime

IMAGES = 300
BATCH = 32
FALSE_ALARMS = 0.01
NEIGHBOURS = 10
AXES = 64

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Distance = Callable[[Floats], NDArray[np.floating]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("others", type=Path, nargs="*")
    asked = parser.parse_args()
    runtime = open_runtime(load_bundle(asked.bundle), "openvino", Tuning())
    data = read_set(asked.prepared)
    train, validation, test = (
        _pooled(runtime, _pictures(data, split)) for split in ("train", "validation", "test")
    )
    seen = _pictures(data, "test")[:IMAGES]
    strange = {name: _pooled(runtime, pictures) for name, pictures in _made(seen)}
    for folder in asked.others:
        pictures = _resized(_pictures(read_set(folder), "test")[:IMAGES], data.size)
        strange[folder.parent.parent.name] = _pooled(runtime, pictures)
    labels = data.split("train").labels()
    ways = _ways(train, labels, validation)
    print(f"| images | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
    limits = {name: np.quantile(way(validation), 1 - FALSE_ALARMS) for name, way in ways.items()}
    clean = {name: way(test) for name, way in ways.items()}
    shares = (f"{(clean[name] > limits[name]).mean():.1%}" for name in ways)
    print(f"| test split, flagged | {' | '.join(shares)} |")
    for kind, features in strange.items():
        cells = [_told(clean[name], way(features), limits[name]) for name, way in ways.items()]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def _told(clean: NDArray[np.floating], strange: NDArray[np.floating], limit: np.floating) -> str:
    truth = np.r_[np.zeros(len(clean)), np.ones(len(strange))]
    auroc = roc_auc_score(truth, np.r_[clean, strange])
    return f"{auroc:.3f}, {(strange > limit).mean():.0%}"


def _ways(train: Floats, labels: NDArray[np.int32], validation: Floats) -> dict[str, Distance]:
    """Way to measure → distance of pooled features (n, channels)."""
    chosen = fit_novelty([train], validation, false_alarms=FALSE_ALARMS)
    bank = unit(train)
    return {
        "chosen": chosen.distances,
        "without scaling to length 1": _gaussian(train, np.zeros_like(labels)),
        "relative Mahalanobis": _relative(train, labels),
        "nearest neighbours": lambda x: 1 - np.sort(unit(x) @ bank.T, axis=1)[:, -NEIGHBOURS],
    }


def _relative(train: Floats, labels: NDArray[np.int32]) -> Distance:
    """Ren et al. 2021: nearest class, less the distance to all images together."""
    classes, whole = _gaussian(train, labels), _gaussian(train, np.zeros_like(labels))
    return lambda features: classes(features) - whole(features)


def _gaussian(train: Floats, labels: NDArray[np.int32]) -> Distance:
    """Squared Mahalanobis distance to the nearest class, one covariance for all, by PCA."""
    means = np.stack([train[labels == index].mean(axis=0) for index in range(labels.max() + 1)])
    centred = train - means[labels]
    spread, axes = np.linalg.eigh(np.cov(centred, rowvar=False, bias=True))
    spread, axes = np.maximum(spread[::-1], 1e-12), axes[:, ::-1][:, :AXES]
    rest = spread[AXES:].mean()

    def distance(features: Floats) -> NDArray[np.floating]:
        offsets = features[None] - means[:, None]
        along = (offsets @ axes) ** 2
        beside = (offsets**2).sum(axis=2) - along.sum(axis=2)
        return np.asarray(((along / spread[:AXES]).sum(axis=2) + beside / rest).min(axis=0))

    return distance


def _pictures(data: TrainingSet, split: SplitName) -> Pictures:
    return np.concatenate([batch.images for batch in data.split(split).batches(256)])


def _pooled(runtime: Runtime, pictures: Pictures) -> Floats:
    parts = np.array_split(pictures, -(-len(pictures) // BATCH))
    return np.concatenate([pool(runtime.run(p.astype(np.float32))["features"]) for p in parts])


def _made(seen: Pictures) -> Iterator[tuple[str, Pictures]]:
    """Kind → pictures that are no scans, or scans as no scanner makes them."""
    random, size = np.random.default_rng(0), seen.shape[1]
    natural = np.stack([*_crops(random, size)])
    grey = natural.mean(axis=3, keepdims=True).repeat(3, axis=3).astype(np.uint8)
    coarse = random.integers(0, 256, (IMAGES, 8, 8, 3), np.uint8)
    yield "natural pictures", natural
    yield "natural pictures, grey", grey
    yield "noise", random.integers(0, 256, (IMAGES, size, size, 3), np.uint8)
    yield "soft blobs", _resized(coarse, size)
    yield "inverted", 255 - seen
    yield "upside down", seen[:, ::-1].copy()
    yield "blurred, sigma 6", _blurred(seen, 6)
    yield "blurred, sigma 1", _blurred(seen, 1)
    yield "brighter by a fifth", np.clip(seen * 1.2, 0, 255).astype(np.uint8)


def _crops(random: np.random.Generator, size: int) -> Iterator[Pictures]:
    for number in range(IMAGES):
        whole = load_sample_images().images[number % 2]
        side = int(random.integers(120, 420))
        top, left = (int(random.integers(0, length - side)) for length in whole.shape[:2])
        crop = whole[top : top + side, left : left + side]
        yield np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(pictures: Pictures, sigma: float) -> Pictures:
    return np.stack([np.asarray(cv2.GaussianBlur(p, (0, 0), sigma), np.uint8) for p in pictures])


def _resized(pictures: Pictures, size: int) -> Pictures:
    return np.stack([np.asarray(cv2.resize(p, (size, size)), np.uint8) for p in pictures])


if __name__ == "__main__":
    main()
