"""Finding lesions: a network of its own beside the classifiers, asked for by hand."""

from typing import TYPE_CHECKING

from pipelines.loop.data import latest_snapshot, split
from pipelines.loop.opening import opened, step

if TYPE_CHECKING:
    from pipelines.segmentation.segment import Segmented


@step
def segment(dataset: str) -> "Segmented":
    """Train a U-Net on the masks of the newest images; see `segmentation.segment.run`."""
    from pipelines.segmentation import segment, segmenter

    spec, context = opened(dataset)
    snapshot = latest_snapshot(dataset)
    prepared = segmenter.plain_images(spec, context, snapshot, split(dataset, snapshot))
    return segment.run(segmenter.uncropped(spec), context, prepared)
