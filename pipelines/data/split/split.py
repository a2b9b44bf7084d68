"""Stage 3, split: training, validation and test sets that share no picture, patient or lesion.

Copies, near duplicates and images of one patient or lesion form a cluster, and a cluster stays
together. Chains of near duplicates are cut (`pipelines.data.duplicates.clusters`). A test folder
that comes with the collection is kept as the test set. Training images that share a cluster with it
are excluded. The table ``splits`` (`pipelines.data.split.members`) lists every file of the snapshot
with its split, or with the reason why it is in none:

    label_conflict   the same bytes have several labels: nobody knows which one is right
    leak             the image shares a cluster with the collection's own test or validation set;
                     or it has been trained on, and its cluster is now in the test set; or it shows
                     the same picture as an image of another cluster in the test or validation set
    duplicate        the split already has an image with the same bytes; each image counts once
"""

import logging
import sys

import pandas as pd

from pipelines.data import revisions
from pipelines.data.duplicates import clusters
from pipelines.data.duplicates import compared as comparing
from pipelines.data.duplicates.descriptors import stacked
from pipelines.data.revisions import PACK_COLUMNS
from pipelines.data.rows import Member
from pipelines.data.split import division, leaks, members, report, source_clusters
from pipelines.data.tables import RevisionTaken, Table, compact
from pipelines.errors import SplitError
from pipelines.outputs import SPLITS, Snapshot, Split
from pipelines.spec import DatasetSpec, DuplicatesSpec
from pipelines.stage import MANIFEST, Context, code_version, existing_output

logger = logging.getLogger(__name__)


def run(spec: DatasetSpec, context: Context, snapshot: Snapshot) -> Split:
    """Split a snapshot; returns the existing split if there is one.

    Raises:
        SplitError: training, validation or test would have no image of a class.
    """
    identity = context.identity(snapshot.id, spec.class_names, spec.split, spec.duplicates, _code())
    path = f"{spec.name}/splits/{identity}"
    if (existing := existing_output(context, path, Split)) is not None:
        return existing
    files = revisions.files(
        context, snapshot, [*PACK_COLUMNS, "label", "declared_split", "patient"]
    )
    files = files.sort_by([("sha256", "ascending"), ("source_path", "ascending")])
    rows = files.to_pandas().rename(columns={"patient": "group"})
    opened = revisions.state(context, snapshot, ["thumbnail", "traces"])
    images = rows.drop_duplicates("sha256", ignore_index=True)
    # As an Arrow column: a million thumbnails as Python objects would take another gigabyte.
    images = images.assign(thumbnail=pd.arrays.ArrowExtensionArray(opened["thumbnail"]))
    pairs = comparing.pairs_of(context, snapshot, images, spec.duplicates)
    rows["cluster"] = rows["sha256"].map(_clusters(images, rows, pairs, spec.duplicates))
    rows["source"] = rows["sha256"].map(
        _sources(images, opened["traces"].to_pylist(), seed=spec.split.seed)
    )
    revision, counts = _divide(spec, context, rows, images, pairs)
    split = Split(
        dataset=spec.name,
        id=identity,
        snapshot=snapshot.path,
        path=path,
        revision=revision,
        counts=counts,
        leaks=int((rows["excluded"] == "leak").sum()),
        **_duplicates(rows, images, pairs),
    )
    with context.store.commit(path) as staging:
        _report(spec, context, split, staging=staging, result=(rows, images, pairs))
        context.store.write_json(f"{staging}/{MANIFEST}", {"output": split.model_dump(mode="json")})
    return split


def _divide(
    spec: DatasetSpec,
    context: Context,
    rows: pd.DataFrame,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
) -> tuple[int, dict[str, dict[str, int]]]:
    """Divide the rows, and append changes to the table ``splits``.

    Returns:
        Its revision, and split → class → number of images.
    """
    table = Table.open(context, spec.name, Member)
    while True:
        revision = table.revision()
        before = members.newest_rows(table, until=revision)
        division.decide(rows, spec.split, members.history(before))
        clusters.separate(rows, images, pairs)
        counts = _counts(spec, rows)
        _require_every_class(spec, rows, counts)
        try:
            revision = members.append(table, rows, before, revision=revision)
        except RevisionTaken:
            logger.info("%s: another process split it meanwhile; trying again", spec.name)
            continue
        compact(table)
        return revision, counts


def _report(
    spec: DatasetSpec,
    context: Context,
    split: Split,
    *,
    staging: str,
    result: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    """Write ``leaks.json`` and ``report.html``."""
    rows, images, pairs = result
    leaked = leaks.find(rows, images, pairs)
    disagreeing = leaks.disagreements(images, pairs)
    summary = leaks.summary(split, rows, leaked=leaked, disagreeing=disagreeing)
    context.store.write_json(f"{staging}/leaks.json", summary)
    page = report.page(
        spec,
        context,
        split,
        rows=rows,
        images=images,
        pairs=pairs,
        leaked=leaked,
        disagreeing=disagreeing,
    )
    context.store.write(f"{staging}/report.html", page.encode())


def _duplicates(rows: pd.DataFrame, images: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, int]:
    exact = rows["sha256"].duplicated(keep=False)
    paired = images["sha256"].iloc[pairs[["first", "second"]].to_numpy(int).ravel()]
    near = rows["sha256"].isin(paired) & ~exact
    return {"exact_duplicates": int(exact.sum()), "near_duplicates": int(near.sum())}


def _code() -> str:
    """Version of the code that decides the split."""
    ours = (clusters, division, leaks, members, source_clusters)
    return code_version(sys.modules[__name__], *ours, *comparing.MODULES)


def _clusters(
    images: pd.DataFrame, rows: pd.DataFrame, pairs: pd.DataFrame, rule: DuplicatesSpec
) -> "pd.Series[str]":
    """sha256 → cluster."""
    thumbnails = stacked(images["thumbnail"])
    links = clusters.links(pairs, thumbnails, correlation=rule.correlation)
    return clusters.clusters(images, rows, links)


def _sources(
    images: pd.DataFrame, traces: list[list[float] | None], *, seed: int
) -> "pd.Series[int]":
    """sha256 → source cluster; 0 for images without a fingerprint (older releases)."""
    return pd.Series(source_clusters.source_clusters(traces, seed=seed), index=images["sha256"])


def _counts(spec: DatasetSpec, rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    result = rows.groupby(["split", "label"]).size()
    return {
        name: {label: int(result.get((name, label), 0)) for label in spec.class_names}
        for name in SPLITS
    }


def _require_every_class(
    spec: DatasetSpec, rows: pd.DataFrame, counts: dict[str, dict[str, int]]
) -> None:
    for name, of_class in counts.items():
        for label, count in of_class.items():
            if count == 0:
                of_label = rows[rows["label"] == label]
                excluded = of_label["excluded"].value_counts().to_dict()
                raise SplitError(
                    f"{spec.name}: no image of class {label} is left for the {name} split. The "
                    f"class has {len(of_label)} images in {of_label['cluster'].nunique()} groups "
                    "(patients, lesions, copies of a picture), which are never divided; excluded: "
                    f"{excluded or 'none'}. Add images of other patients (three groups at least)."
                )
