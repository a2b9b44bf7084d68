"""Puts tiny bundles into a real MLflow, as the loop does."""

from collections.abc import Callable
from pathlib import Path

from pipelines.settings import Settings
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from tests.serving.bundles import make_bundle


def publish(
    settings: Settings,
    folder: Path,
    *,
    dataset: str,
    seed: int,
    spoil: Callable[[Path], None] | None = None,
) -> int:
    """Register a new version with random weights; its number.

    Args:
        settings: reaches MLflow.
        folder: where to make the bundle; must not exist.
        dataset: the registered model.
        seed: of the weights.
        spoil: changes the bundle before it goes up.
    """
    tracking = open_tracking(settings)
    experiment = tracking.experiment(dataset, title=dataset)
    run_id = tracking.client.create_run(experiment).info.run_id
    make_bundle(folder, dataset=dataset, version=None, seed=seed, run_id=run_id)
    if spoil:
        spoil(folder)
    tracking.upload(run_id, folder, folder=versions.BUNDLE)
    registered = versions.register(
        tracking, dataset, run_id=run_id, artifact=versions.BUNDLE, about="a test", tags={}
    )
    return registered.version


def crown(settings: Settings, dataset: str, version: int) -> None:
    """Make a version the champion."""
    versions.set_alias(open_tracking(settings), dataset, "champion", version=version)
