"""A profile as a run in MLflow: one for each set of prepared images, beside the candidates."""

import tempfile
from pathlib import Path

from pipelines.outputs import DataProfile
from pipelines.profile.look import REPORT, STATISTICS
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.tracking import runs
from pipelines.tracking.client import open_tracking

SUFFIX = "-data"
"""Behind the data set's name: the experiment that holds its profiles."""
SHOWN = "medloop.profiled"
"""The tag that says that all of a profile is there."""


def publish(spec: DatasetSpec, context: Context, profile: DataProfile) -> DataProfile:
    """Log a profile; one that stands in MLflow is not logged again.

    Returns:
        The profile with the id of its run.

    Raises:
        TrackingUnavailable: MLflow does not answer.
        StoreUnavailable: the store does not answer.
    """
    tracking = open_tracking(context.settings)
    name = f"{spec.name}{SUFFIX}"
    experiment = tracking.experiment(name, title=spec.title, about="Profiles of the images")
    found = runs.find(tracking, experiment, fingerprint=profile.id)
    if found is not None and SHOWN in found.data.tags:
        return profile.model_copy(update={"run_id": found.info.run_id})
    with (
        tempfile.TemporaryDirectory(prefix="medloop-") as folder,
        runs.open_run(
            tracking,
            experiment,
            fingerprint=profile.id,
            name=f"images · {profile.id[:9]}",
            tags={"medloop.prepared": profile.prepared, "medloop.profile": profile.path},
        ) as run_id,
    ):
        for file in _files(context, profile):
            context.store.download(f"{profile.path}/{file}", Path(folder) / file)
        tracking.upload(run_id, Path(folder))
        statistics = context.store.read_json(f"{profile.path}/{STATISTICS}")
        runs.log_metrics(tracking, run_id, _figures(statistics))
        runs.set_tags(tracking, run_id, {SHOWN: "true"})
    return profile.model_copy(update={"run_id": run_id})


def _files(context: Context, profile: DataProfile) -> list[str]:
    drawn = context.store.names(f"{profile.path}/pictures")
    return [REPORT, STATISTICS, *(f"pictures/{name}" for name in drawn)]


def _figures(statistics: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    return {
        f"{split}.{name}.{figure}": told[figure]
        for split, classes in statistics.items()
        for name, told in classes.items()
        for figure in ("images", "grey_mean", "grey_std")
        if figure in told
    }
