"""What a run was trained on, as MLflow's dataset inputs: one for each split, with its digest."""

import json
from urllib.parse import urlsplit

from pipelines.outputs import SPLITS, Prepared, SplitName
from pipelines.tracking.client import Tracking

CONTEXTS: dict[SplitName, str] = {
    "train": "training",
    "validation": "validation",
    "test": "testing",
}
"""Split → what MLflow calls its use."""


def log_inputs(tracking: Tracking, run_id: str, prepared: Prepared, *, store: str) -> None:
    """Log the three splits of a training set, tagged with the snapshot and split they show.

    Args:
        tracking: where to.
        run_id: whose input it was; a run that is resumed has each only once.
        prepared: the training set; its ID, the fingerprint of its images, is the digest.
        store: URI of the store's root.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    snapshot, split_id = (path.rpartition("/")[2] for path in (prepared.snapshot, prepared.split))
    source = f"{store}/{prepared.path}"
    inputs = [
        DatasetInput(
            Dataset(
                name=f"{prepared.dataset} {split}",
                digest=prepared.id,
                source_type=urlsplit(store).scheme,
                source=json.dumps({"uri": f"{source}/keys.parquet"}),
                profile=json.dumps({"num_rows": prepared.rows[split]}),
            ),
            [
                InputTag("mlflow.data.context", CONTEXTS[split]),
                InputTag("snapshot", snapshot),
                InputTag("split", split_id),
            ],
        )
        for split in SPLITS
    ]
    with tracking.reaching() as client:
        client.log_inputs(run_id, inputs)


def trained_on(tracking: Tracking, run_id: str) -> str | None:
    """ID of the training set that a run names as its training data; ``None`` if it names none.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    with tracking.reaching() as client:
        inputs = client.get_run(run_id).inputs.dataset_inputs
    for one in inputs:
        if any(tag.value == CONTEXTS["train"] for tag in one.tags):
            return str(one.dataset.digest)
    return None
