"""All that the pictures and the page of a profile are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.features import texture
from pipelines.features.extract import Described
from pipelines.outputs import SPLITS, SplitName
from pipelines.profile.alike import Pair
from pipelines.profile.sums import Key, ShadeSums

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Facts:
    """What a profile knows of the prepared images."""

    title: str
    """Of the data set."""
    classes: tuple[str, ...]
    size: int
    """Side of the square images in pixels."""
    sums: Mapping[Key, ShadeSums]
    texture: Described
    deep: Described
    pairs: tuple[Pair, ...]
    """Held-out images that training images are most like."""
    thumbnails: Mapping[str, NDArray[np.uint8]]
    """sha256 → picture, uint8 (size, size, 3), of the images that are shown."""
    examples: Mapping[int, list[str]]
    """Label → sha256 of the training images that are shown of a class."""

    def of(self, split: SplitName, label: int) -> ShadeSums:
        """The sums of a class in a split; empty ones where it has no image."""
        return self.sums.get((split, label), ShadeSums(self.size))

    def texture_of(self, split: SplitName, label: int) -> NDArray[np.float32]:
        """(n, 13) `texture.NAMES` of the images of a class in a split."""
        images = self.texture.images
        rows = (images["split"] == split) & (images["label"] == label)
        return self.texture.values[rows.to_numpy()]

    def statistics(self) -> dict[str, Any]:
        """Split → class → what a later delivery can be compared with, as JSON values."""
        return {
            split: {name: self._statistics(split, label) for label, name in enumerate(self.classes)}
            for split in SPLITS
        }

    def _statistics(self, split: SplitName, label: int) -> dict[str, Any]:
        sums, values = self.of(split, label), self.texture_of(split, label)
        if not sums.images:
            return {"images": 0}
        levels = np.arange(len(sums.histogram))
        mean = float(sums.histogram @ levels)
        return {
            "images": sums.images,
            "grey_mean": round(mean, 4),
            "grey_std": round(float(np.sqrt(sums.histogram @ (levels - mean) ** 2)), 4),
            "grey_histogram": sums.histogram.round(7).tolist(),
            "texture": {
                name: {
                    "mean": round(float(column.mean()), 6),
                    "std": round(float(column.std()), 6),
                    "quantiles": np.quantile(column, QUANTILES).round(6).tolist(),
                }
                for name, column in zip(texture.NAMES, values.T.astype(np.float64), strict=True)
            },
        }

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """``<split>.<class>.mean`` and ``….std`` → (size, size) float32, 0 to 255."""
        found = {}
        for (split, label), sums in sorted(self.sums.items()):
            name = f"{split}.{self.classes[label]}"
            found[f"{name}.mean"] = sums.mean.astype(np.float32)
            found[f"{name}.std"] = sums.std.astype(np.float32)
        return found
