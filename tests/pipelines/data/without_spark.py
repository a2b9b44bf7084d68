"""Prepares images as Spark's executors do, in this process."""

from collections.abc import Mapping

import pyarrow as pa

from pipelines.data.prepare import prepare
from pipelines.data.prepare.executor import PartReport, PrepareJob, write_parts
from pipelines.data.prepare.keys import listed_images, training_rows
from pipelines.outputs import Prepared, Snapshot, Split
from pipelines.spec import DatasetSpec
from pipelines.stage import Context


def prepare_here(
    context: Context,
    spec: DatasetSpec,
    snapshot: Snapshot,
    split: Split,
    originals: Mapping[str, bytes],
) -> Prepared:
    """A training set of a split.

    Args:
        context: settings and store.
        spec: of the data set.
        snapshot: where the images are.
        split: which of them are listed.
        originals: sha256 → content, of those that go to one new part.
    """
    kept = prepare.prepared_images(spec, context)
    rows = training_rows(
        listed_images(context, snapshot, split), spec.class_names, None, seed=spec.split.seed
    )
    missing = rows[rows["sha256"].isin(originals)].drop_duplicates("sha256")
    plain = {"number": 0, "finder": 0, "mask": "", "mask_content": None}
    batch = pa.RecordBatch.from_pylist(
        [
            plain | {"sha256": sha256, "source_path": path, "content": originals[sha256]}
            for sha256, path in zip(missing["sha256"], missing["source_path"], strict=True)
        ]
    )
    job = PrepareJob(context.settings, kept.path, spec.image)
    (report,) = write_parts(iter([batch]), job=job)
    PartReport.model_validate_json(report["report"][0].as_py())
    return prepare.list_images(spec, context, rows, kept, made_from=(snapshot, split, None))
