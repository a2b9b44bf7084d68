"""Whether so many new images have come that training anew is worth its while."""

import logging
import math

from pipelines.data.snapshots import index_of
from pipelines.outputs import Enough, Snapshot, Waker
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint, standing
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking

logger = logging.getLogger(__name__)


def run(spec: DatasetSpec, context: Context, snapshot: Snapshot, *, woken_by: Waker) -> Enough:
    """Compare a snapshot with the one that the champion was made from.

    An image is new by its bytes (sha256), whatever it is called. Both ``retrain.min_new_images``
    and ``retrain.min_new_share`` (of the champion's images) must be reached. Without a champion,
    or where its snapshot is gone, anything is enough; so it is for runs that something else than
    the landing folder woke.

    Raises:
        StoreUnavailable: the store does not answer.
        TrackingUnavailable: MLflow does not answer.
    """
    seen = _seen_by_champion(spec, context)
    images = {row["sha256"] for row in index_of(context, snapshot)}
    new = len(images - (seen or set()))
    wanted = _wanted(spec, len(seen)) if seen else 0
    asked = woken_by == "landing" and seen is not None
    answer = Enough(
        dataset=spec.name,
        id=fingerprint(snapshot.id, woken_by, new, wanted),
        enough=not asked or new >= wanted,
        new_images=new,
        wanted=wanted,
        said=f"{new:,} new {'image' if new == 1 else 'images'}, {wanted:,} wanted",
    )
    logger.info("%s, woken by %s: %s", spec.name, woken_by, answer.said)
    return answer


def _wanted(spec: DatasetSpec, seen: int) -> int:
    share = math.ceil(spec.retrain.min_new_share * seen)
    return max(spec.retrain.min_new_images, share)


def _seen_by_champion(spec: DatasetSpec, context: Context) -> set[str] | None:
    """The sha256 of the images of the champion's snapshot; ``None`` if there is none."""
    champion = versions.holder(open_tracking(context.settings), spec.name, "champion")
    if champion is None:
        return None
    path = champion.tags.get(versions.SNAPSHOT_TAG, "")
    snapshot = standing(context, path, Snapshot) if path else None
    if snapshot is None:
        logger.warning("%s: the snapshot %r of the champion is gone", spec.name, path)
        return None
    return {row["sha256"] for row in index_of(context, snapshot)}
