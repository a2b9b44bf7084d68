"""Decides whether enough images are new or changed to train again."""

import logging
import math
from collections import defaultdict

import pyarrow.compute as pc

from pipelines.data import revisions
from pipelines.data.revisions import Row
from pipelines.outputs import Enough, Snapshot, Waker
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, existing_output, fingerprint
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking

logger = logging.getLogger(__name__)

LEARNED_FROM = {"label": "label", "patient": "group", "declared_split": "split"}
"""Columns of files that affect training → their names in messages. Metadata only define subgroups
in reports, so they are not included."""

Changes = dict[str, set[str]]
"""Kind of change (``label``, ``group``, ``split``, ``mask``, ``removed``) → sha256 of images."""


def run(spec: DatasetSpec, context: Context, snapshot: Snapshot, *, woken_by: Waker) -> Enough:
    """Compare a snapshot with the one that the champion was trained on.

    An image is new if its bytes (sha256) are new. A known image has changed if its label, group
    (patient, lesion) or declared split has changed, if its mask has changed and images are cropped
    to lesions, or if it was removed. New and changed images together must reach both
    ``retrain.min_new_images`` and ``retrain.min_new_share`` (of the images of the champion).
    Without a champion or its snapshot, any number is enough; so it is for runs that the landing
    folder did not start.

    Raises:
        StoreUnavailable: the store does not answer.
        TrackingUnavailable: MLflow does not answer.
    """
    champions = _champions_snapshot(spec, context)
    now = revisions.state(context, snapshot, ["sha256"])["sha256"]
    new, known, changed = len(now), 0, Changes()
    if champions:
        seen = revisions.state(context, champions, ["sha256"])["sha256"]
        new, known = pc.sum(pc.invert(pc.is_in(now, value_set=seen))).as_py() or 0, len(seen)
        changed = _changed(context, champions, snapshot, masks=spec.image.crop == "lesion")
    count = len(set().union(*changed.values()))
    wanted = _wanted(spec, known) if champions else 0
    asked = woken_by == "landing" and champions is not None
    answer = Enough(
        dataset=spec.name,
        id=fingerprint(snapshot.id, woken_by, new, count, wanted),
        enough=not asked or new + count >= wanted,
        new_images=new,
        changed_images=count,
        wanted=wanted,
        said=_message(new, count, changed, wanted),
    )
    logger.info("%s, woken by %s: %s", spec.name, woken_by, answer.said)
    return answer


def _changed(context: Context, champions: Snapshot, now: Snapshot, *, masks: bool) -> Changes:
    """Changes of the champion's images; compares only changed rows."""
    both = (champions, now)
    before, after = (revisions.state(context, one, ["sha256", "revision"]) for one in both)
    changed = after.filter(pc.greater(after["revision"], revisions.number_of(champions.id)))
    removed_images = before.filter(pc.invert(pc.is_in(before["sha256"], value_set=after["sha256"])))
    known = before.filter(pc.is_in(before["sha256"], value_set=changed["sha256"]))["sha256"]
    touched = [*known.to_pylist(), *removed_images["sha256"].to_pylist()]
    columns = ["sha256", *LEARNED_FROM]
    files = [revisions.files(context, one, columns, of=touched).to_pylist() for one in both]
    found = changes(*files)
    if masks:
        masks_of_both = [revisions.masks(context, one).select(["image", "sha256"]) for one in both]
        masks_of_both = [
            one.filter(pc.is_in(one["image"], value_set=known)).to_pylist() for one in masks_of_both
        ]
        if differ := changed_masks(*masks_of_both):
            found["mask"] = differ
    return found


def changes(seen: list[Row], now: list[Row]) -> Changes:
    """Kind of change → images of the earlier rows that changed or are missing in the later ones."""
    before, after = _described(seen), _described(now)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for sha256, description in before.items():
        if sha256 not in after:
            found["removed"].add(sha256)
            continue
        for name, values in description.items():
            if after[sha256][name] != values:
                found[name].add(sha256)
    return dict(found)


def changed_masks(seen: list[Row], now: list[Row]) -> set[str]:
    """sha256 of the images whose mask was added, removed or changed."""
    before, after = ({(row["image"], row["sha256"]) for row in rows} for rows in (seen, now))
    return {image for image, _ in before ^ after}


def _described(rows: list[Row]) -> dict[str, dict[str, set[str | None]]]:
    """sha256 → column → values of its rows (an image may have several paths)."""
    found: dict[str, dict[str, set[str | None]]] = {}
    for row in rows:
        description = found.setdefault(
            row["sha256"], {name: set() for name in LEARNED_FROM.values()}
        )
        for column, name in LEARNED_FROM.items():
            description[name].add(row[column])
    return found


def _message(new: int, count: int, changed: Changes, wanted: int) -> str:
    parts = [_images(new, "new")]
    if count:
        kinds = ", ".join(f"{name}: {len(images):,}" for name, images in changed.items())
        parts.append(f"{_images(count, 'changed')} ({kinds})")
    return f"{' and '.join(parts)}, {wanted:,} wanted"


def _images(count: int, kind: str) -> str:
    return f"{count:,} {kind} {'image' if count == 1 else 'images'}"


def _wanted(spec: DatasetSpec, seen: int) -> int:
    share = math.ceil(spec.retrain.min_new_share * seen)
    return max(spec.retrain.min_new_images, share)


def _champions_snapshot(spec: DatasetSpec, context: Context) -> Snapshot | None:
    """The snapshot that the champion was trained on; ``None`` if there is none."""
    champion = versions.holder(open_tracking(context.settings), spec.name, "champion")
    if champion is None:
        return None
    path = champion.tags.get(versions.SNAPSHOT_TAG, "")
    snapshot = existing_output(context, path, Snapshot) if path else None
    if snapshot is None:
        logger.warning("%s: the snapshot %r of the champion does not exist", spec.name, path)
    return snapshot
