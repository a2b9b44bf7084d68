"""Everything a model card is drawn from, gathered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.evaluation.record import Evaluation, require_evaluation
from pipelines.outputs import Prepared, Snapshot, Split
from pipelines.release.report import Judgement
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, existing_output
from pipelines.tracking.client import open_tracking
from pipelines.tracking.versions import Registered

UNKNOWN = "Not known."


@dataclass(frozen=True)
class Known:
    """What is known of a version."""

    spec: DatasetSpec
    version: int
    candidate: str
    run_id: str
    trained_at: str
    """Day on which its run began."""
    params: Mapping[str, str]
    """Of its run: ``candidate.<field>`` and others."""
    tags: Mapping[str, str]
    evaluation: Evaluation
    judgement: Judgement
    snapshot: Snapshot | None
    """``None`` where it is gone, as `split` is."""
    split: Split | None


def gather(
    spec: DatasetSpec,
    context: Context,
    registered: Registered,
    *,
    prepared: Prepared,
    judgement: Judgement,
) -> Known:
    """Look everything up.

    Args:
        spec: of the data set.
        context: settings and store.
        registered: the version.
        prepared: the training set it was trained on.
        judgement: what the gate found.

    Raises:
        NotFound: the version's run was not evaluated.
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    evaluation = require_evaluation(tracking, registered.run_id, registered.candidate)
    with tracking.reaching() as client:
        run = client.get_run(registered.run_id)
    began = datetime.fromtimestamp(run.info.start_time / 1000, tz=UTC)
    return Known(
        spec=spec,
        version=registered.version,
        candidate=registered.candidate,
        run_id=registered.run_id,
        trained_at=f"{began:%Y-%m-%d}",
        params=run.data.params,
        tags=run.data.tags,
        evaluation=evaluation,
        judgement=judgement,
        snapshot=existing_output(context, prepared.snapshot, Snapshot),
        split=existing_output(context, prepared.split, Split),
    )
