"""What has learned from images, or was judged by them, and what else remains after an erasure."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from pipelines.data.split.members import members
from pipelines.erasure.traces import Traces
from pipelines.errors import NotFound
from pipelines.outputs import SPLITS
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking

USES = {
    "train": "was trained on them",
    "validation": "was chosen and calibrated by them",
    "test": "was measured by them",
}
"""Set of a split → what a version did with its images."""


class Remaining(BaseModel):
    """Something that an erasure leaves."""

    model_config = ConfigDict(frozen=True)

    what: str
    why: str


def uses(context: Context, dataset: str, traces: Traces) -> dict[str, tuple[str, ...]]:
    """Store path of a split → which of its sets held one of the images.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    ours = pa.array(sorted(traces.originals), pa.string())
    found: dict[str, tuple[str, ...]] = {}
    for name in context.store.names(f"{dataset}/splits"):
        path = f"{dataset}/splits/{name}"
        try:
            table = members(context, path, ["sha256", "split"])
        except NotFound:
            continue  # no manifest, or every image of it was erased
        held = set(table.filter(pc.is_in(table["sha256"], value_set=ours))["split"].to_pylist())
        if sets := tuple(split for split in SPLITS if split in held):
            found[path] = sets
    return found


def learned(
    tracking: Tracking | None, dataset: str, used: Mapping[str, tuple[str, ...]]
) -> list[Remaining]:
    """The registered versions whose split held one of the images, newest first.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    if tracking is None:
        why = (
            "MLflow was left out (--skip-mlflow): its runs, bundles and pages may show the images. "
            f"Versions that used these splits have learned from them: {', '.join(used) or 'none'}"
        )
        return [Remaining(what="all that MLflow holds, and local bundles", why=why)]
    champion = versions.holder(tracking, dataset, "champion")
    found = []
    for one in versions.every(tracking, dataset):
        sets = used.get(one.tags.get(versions.SPLIT_TAG, ""), ())
        if sets:
            did = ", ".join(USES[split] for split in sets)
            serves = "; it serves" if champion and champion.version == one.version else ""
            what = f"weights and figures of version {one.version} ({one.candidate})"
            found.append(Remaining(what=what, why=f"it {did}{serves}"))
    return found


def always(settings: Settings) -> list[Remaining]:
    """What every erasure leaves, and why."""
    return [
        Remaining(
            what="keyed hashes in the certificate and in the ledger of landed files",
            why="by them the same files are refused when they land again; without the key of this "
            "installation they tell nothing",
        ),
        Remaining(
            what="sums and figures over many images (grey levels, metrics, counts, the Gaussian of "
            "the novelty score)",
            why="no single image can be had from them; a retraining makes new ones",
        ),
        Remaining(
            what=f"backups below {settings.backups} and elsewhere",
            why="a backup is never changed; let those from before the erasure expire "
            "(MEDLOOP_BACKUP_KEEP), and erase again after a restore from one",
        ),
        Remaining(
            what="snapshots of HDFS, copies by administrators, blocks that HDFS has not freed yet",
            why="Medloop does not make them (hdfs lsSnapshottableDir lists them)",
        ),
        Remaining(
            what="caches, bundles and logs of other machines that use this store",
            why="an erasure reaches the home of its own machine: remove `cache`, `work` and "
            "`bundles` there, which are made again",
        ),
        Remaining(
            what="Bentos that were built with the champion (bentoml build), and images of them",
            why="they are sealed and may have been shipped: build them again, and delete the old "
            "ones (bentoml delete, bentoml models delete)",
        ),
        Remaining(
            what="free space of disks",
            why="files are deleted, not shredded: encrypt the disks",
        ),
        Remaining(
            what="the databases of MLflow and Airflow",
            why="they hold names of folders, figures and parameters; no images, hashes or paths",
        ),
    ]
