"""Which version serves: promotion, rollback, refusal, and getting a version's bundle.

Aliases of the registered model say it all, and the service follows ``champion``. The order in
which they move is such that a kill in between loses nothing.
"""

import fcntl
import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import BundleError, NotFound
from pipelines.outputs import Release, Verdict
from pipelines.release import bundle as bundles
from pipelines.release import report
from pipelines.release.card import beside
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, fingerprint
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.versions import Registered

logger = logging.getLogger(__name__)


def champion(context: Context, dataset: str) -> Registered | None:
    """The version that serves, if there is one.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    return versions.holder(open_tracking(context.settings), dataset, "champion")


def fetch_champion(context: Context, dataset: str) -> Path:
    """The bundle of the version that serves; see `fetch`.

    Raises:
        NotFound: there is no champion.
    """
    serving = champion(context, dataset)
    if serving is None:
        raise NotFound(f"{dataset} has no champion yet: run `medloop retrain {dataset}`.")
    return fetch(context, dataset, serving.version)


def promote(context: Context, dataset: str, version: int | None = None) -> Release:
    """Make a version the champion; the one before becomes ``previous``.

    Promoting the champion changes nothing, so that a call can be repeated.

    Args:
        context: settings and store.
        dataset: the registered model's name.
        version: which; the challenger if ``None``.

    Raises:
        NotFound: there is no such version, or no challenger.
        BundleError: its bundle is not whole.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    challenger = versions.holder(tracking, dataset, "challenger")
    chosen = versions.named(tracking, dataset, version) if version is not None else challenger
    if chosen is None:
        raise NotFound(f"{dataset} has no challenger. Name a version, or select candidates first.")
    if chosen.tags.get(versions.VERDICT_TAG) == "refused":
        logger.warning("%s: version %d was refused by the gate", dataset, chosen.version)
    fetch(context, dataset, chosen.version)
    serving = versions.holder(tracking, dataset, "champion")
    if serving is None or serving.version != chosen.version:
        if serving is not None:
            versions.set_alias(tracking, dataset, "previous", version=serving.version)
        versions.set_alias(tracking, dataset, "champion", version=chosen.version)
        logger.info("%s: version %d is the champion", dataset, chosen.version)
    if challenger is not None and challenger.version == chosen.version:
        versions.delete_alias(tracking, dataset, "challenger")
    release = _release(context, dataset)
    report.publish(tracking, chosen, before=release.previous, after=release.champion)
    return release


def rollback(context: Context, dataset: str, version: int | None = None) -> Release:
    """Make the previous champion, or a named version, the champion again.

    Args:
        context: settings and store.
        dataset: the registered model's name.
        version: which; the previous champion if ``None``.

    Raises:
        NotFound: there is no such version, or there was no champion before.
        BundleError: its bundle is not whole; the champion stays.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    serving = versions.holder(tracking, dataset, "champion")
    if version is not None:
        target = versions.named(tracking, dataset, version)
    else:
        target = _previous(context, dataset, serving)
    fetch(context, dataset, target.version)
    # Champion first: if this is cut short, what should not serve does not.
    versions.set_alias(tracking, dataset, "champion", version=target.version)
    if serving is not None and serving.version != target.version:
        versions.set_alias(tracking, dataset, "previous", version=serving.version)
    logger.info("%s: version %d is the champion again", dataset, target.version)
    return _release(context, dataset)


def refuse(spec: DatasetSpec, context: Context, verdict: Verdict) -> None:
    """Mark a challenger as refused; the champion stays, and so does the version.

    Raises:
        NotFound: there is no such version.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    refused = versions.named(tracking, spec.name, verdict.version)
    tags = {versions.REFUSED_TAG: "; ".join(verdict.refusals)[:5000]}
    versions.tag(tracking, spec.name, verdict.version, tags=tags)
    challenger = versions.holder(tracking, spec.name, "challenger")
    if challenger is not None and challenger.version == verdict.version:
        versions.delete_alias(tracking, spec.name, "challenger")
    report.publish(tracking, refused, before=verdict.champion, after=verdict.champion)
    logger.warning(
        "%s: version %d is REFUSED, the champion stays: %s",
        spec.name,
        verdict.version,
        "; ".join(verdict.refusals),
    )


def fetch(context: Context, dataset: str, version: int) -> Path:
    """The bundle of a version: downloaded once, verified each time, stamped with the version.

    Its model card comes along, as it is now, and stands beside it (`card.beside`).

    Raises:
        NotFound: there is no such version, or its bundle is gone.
        BundleError: it is not whole.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    registered = versions.named(tracking, dataset, version)
    # The run is part of the name: another MLflow server counts its versions anew.
    folder = context.settings.bundles / dataset / f"{version}-{registered.run_id[:8]}"
    with _only_one(folder.parent):
        if not _is_whole(folder):
            _download(tracking, registered, folder)
        beside.fetch(tracking, registered, folder)
    return folder


def _download(tracking: Tracking, registered: Registered, folder: Path) -> None:
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        local = tracking.download(registered.run_id, registered.bundle, target=part)
        bundles.stamp(local, registered.version)
        bundles.load_bundle(local)
        shutil.rmtree(folder, ignore_errors=True)
        local.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let the service's workers, which all want a new champion at once, fetch it one by one.

    Without it, one could take away what another is opening. A killed one holds nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        bundles.load_bundle(folder)
    except BundleError as error:
        logger.warning("fetching a bundle anew: %s", error)
        return False
    return True


def _previous(context: Context, dataset: str, serving: Registered | None) -> Registered:
    previous = versions.holder(open_tracking(context.settings), dataset, "previous")
    if previous is None or (serving and previous.version == serving.version):
        raise NotFound(f"{dataset} has had no champion before this one. Name a version.")
    return previous


def _release(context: Context, dataset: str) -> Release:
    tracking = open_tracking(context.settings)
    now = versions.holder(tracking, dataset, "champion")
    before = versions.holder(tracking, dataset, "previous")
    assert now is not None
    return Release(
        dataset=dataset,
        id=fingerprint(dataset, now.version),
        champion=now.version,
        previous=before.version if before else None,
    )
