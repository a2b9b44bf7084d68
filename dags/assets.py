"""The assets of the loop, each named once. Who makes which, and whom it wakes:

landing   ──wakes──▶ retrain ──makes──▶ snapshot, prepared, challenger, champion
drift     ──wakes──▶ retrain              (where the spec says so)
snapshot  ──wakes──▶ monitor ──makes──▶ reference profile, drift
champion  ──wakes──▶ score   ──makes──▶ scores
"""

from airflow.sdk import Asset, AssetWatcher

from dags.watch import LandingTrigger


def landing(dataset: str) -> Asset:
    """New files in the landing folder, all there; updated by its watcher, and by nothing else."""
    watcher = AssetWatcher(name=f"{dataset}_landing", trigger=LandingTrigger(dataset))
    return Asset(name=f"{dataset}_landing", uri=f"medloop://{dataset}/landing", watchers=[watcher])


def snapshot(dataset: str) -> Asset:
    """The newest snapshot of originals."""
    return _asset(dataset, "snapshot")


def prepared(dataset: str) -> Asset:
    """The newest training set."""
    return _asset(dataset, "prepared")


def challenger(dataset: str) -> Asset:
    """The best candidate of a run, before it is judged."""
    return _asset(dataset, "challenger")


def champion(dataset: str) -> Asset:
    """The version in service; updated only when another one is promoted."""
    return _asset(dataset, "champion")


def scores(dataset: str) -> Asset:
    """The champion's predictions for every image of a snapshot."""
    return _asset(dataset, "scores")


def reference_profile(dataset: str) -> Asset:
    """What the champion's inputs and answers look like while nothing drifts."""
    return _asset(dataset, "reference_profile")


def drift(dataset: str) -> Asset:
    """Drift that the monitor has confirmed; updated only then."""
    return _asset(dataset, "drift")


def _asset(dataset: str, what: str) -> Asset:
    return Asset(name=f"{dataset}_{what}", uri=f"medloop://{dataset}/{what}")
