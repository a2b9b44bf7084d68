"""Finding lesions: a network of its own beside the classifiers, asked for by hand."""

from typing import TYPE_CHECKING

from pipelines.loop.opening import opened
from pipelines.loop.studies import latest_prepared

if TYPE_CHECKING:
    from pipelines.segmentation.segment import Segmented


def segment(dataset: str) -> "Segmented":
    """Train a U-Net on the masks of the newest shards; see `segmentation.segment.run`."""
    from pipelines.segmentation import segment

    spec, context = opened(dataset)
    return segment.run(spec, context, latest_prepared(dataset))
