"""Which version serves: promotion, rollback, refusal, and getting a version's bundle.

Aliases of the registered model say it all, and the service follows ``champion``. The order in
which they move is such that a kill in between loses nothing.
"""

import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import BundleError, ChampionChanged, NotFound
from pipelines.locks import alone, locked
from pipelines.outputs import Release, Verdict
from pipelines.release import bundle as bundles
from pipelines.release import promotions
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
    return fetch(context, dataset, require_champion(context, dataset).version)


def require_champion(context: Context, dataset: str) -> Registered:
    """The version that serves.

    Raises:
        NotFound: there is no champion, or its alias was removed by hand.
        TrackingUnavailable: MLflow does not answer.
    """
    serving = champion(context, dataset)
    if serving is None:
        raise NotFound(no_champion(context, dataset))
    return serving


def without_alias(version: int | None) -> str:
    """What the service, its page and ``medloop status`` say where the alias was removed."""
    return f"serves version {version}; the registry has no champion alias"


def was_promoted(context: Context, dataset: str) -> bool:
    """Whether any version has been the champion."""
    return versions.last_promoted(open_tracking(context.settings), dataset) is not None


def no_champion(context: Context, dataset: str) -> str:
    """Why there is no champion, for a person: nothing was promoted, or the alias was removed."""
    last = versions.last_promoted(open_tracking(context.settings), dataset)
    if last is None:
        return f"{dataset} has no champion yet: run `medloop retrain {dataset}`."
    return (
        f"{dataset} has no champion alias in MLflow: it was removed by hand, or its version was "
        f"deleted. Version {last.version} was promoted last; `medloop promote {dataset} "
        f"{last.version}` sets the alias again. The service keeps serving what it served."
    )


@contextmanager
def releasing(context: Context, dataset: str) -> Iterator[None]:
    """Let one process of this installation at a time decide about a data set's aliases and tags.

    MLflow has no compare-and-set, so whoever reads them, decides and writes holds this lock.
    """
    with alone(context.settings.work / "release" / dataset):
        yield


def promote(
    context: Context, dataset: str, version: int | None = None, *, force: bool = False
) -> Release:
    """Make a version the champion; the one before becomes ``previous``.

    Promoting the champion changes nothing, so that a call can be repeated.

    Args:
        context: settings and store.
        dataset: the registered model's name.
        version: which; the challenger if ``None``.
        force: promote it also where the gate compared it with another champion, or it was
            rolled back automatically.

    Raises:
        NotFound: there is no such version, or no challenger.
        ChampionChanged: the gate compared it with another version than the one that serves, or
            it was rolled back automatically since.
        BundleError: its bundle is not whole.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    fetch(context, dataset, _chosen(tracking, dataset, version).version)
    with releasing(context, dataset):
        chosen = _chosen(tracking, dataset, version)
        serving = versions.holder(tracking, dataset, "champion")
        if serving is None or serving.version != chosen.version:
            if chosen.tags.get(versions.VERDICT_TAG) == "refused":
                logger.warning("%s: version %d was refused by the gate", dataset, chosen.version)
            last = serving or versions.last_promoted(tracking, dataset)
            if not force:
                _require_not_rolled_back(chosen)
            if not force and not (last and last.version == chosen.version):
                _require_compared(chosen, serving)
            _start_chain(tracking, chosen)
            if serving is not None:
                begun = promotions.Promotion(
                    dataset=dataset, version=chosen.version, previous=serving.version
                )
                promotions.note(context.settings, begun)
                versions.set_alias(tracking, dataset, "previous", version=serving.version)
            versions.set_alias(tracking, dataset, "champion", version=chosen.version)
            _note_promotion(tracking, chosen)
            logger.info("%s: version %d is the champion", dataset, chosen.version)
        elif versions.PROMOTED_TAG not in chosen.tags:  # an earlier call was cut short
            _note_promotion(tracking, chosen)
        drop_challenger(tracking, dataset, chosen.version)
        release = _release(tracking, dataset)
    from pipelines.release import report  # SciPy and scikit-learn, which workers do without

    report.publish(tracking, chosen, before=release.previous, after=release.champion)
    return release


def rollback(
    context: Context, dataset: str, version: int | None = None, *, expect: int | None = None
) -> Release:
    """Make the previous champion, or a named version, the champion again.

    Args:
        context: settings and store.
        dataset: the registered model's name.
        version: which; the previous champion if ``None``.
        expect: the version that has to serve now; any if ``None``.

    Raises:
        NotFound: there is no such version, or there was no champion before.
        ChampionChanged: another version serves than the expected one.
        BundleError: its bundle is not whole; the champion stays.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    with releasing(context, dataset):
        serving = versions.holder(tracking, dataset, "champion")
        if expect is not None and (serving is None or serving.version != expect):
            raise ChampionChanged(
                f"{dataset}: expected version {expect} to serve, but {_serves(serving)}. "
                "Nothing was changed. Look at it again (medloop status) before you roll back."
            )
        if version is not None:
            target = versions.named(tracking, dataset, version)
        else:
            target = _previous(tracking, dataset, serving)
        fetch(context, dataset, target.version)
        _start_chain(tracking, target)
        # Champion first: if this is cut short, what should not serve does not.
        versions.set_alias(tracking, dataset, "champion", version=target.version)
        _note_promotion(tracking, target)
        if serving is not None and serving.version != target.version:
            versions.set_alias(tracking, dataset, "previous", version=serving.version)
        _end_watching(context, target)
        logger.info("%s: version %d is the champion again", dataset, target.version)
        return _release(tracking, dataset)


def refuse(spec: DatasetSpec, context: Context, verdict: Verdict) -> None:
    """Mark a challenger as refused; the champion stays, and so does the version.

    Raises:
        NotFound: there is no such version.
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    with releasing(context, spec.name):
        refused = versions.named(tracking, spec.name, verdict.version)
        tags = {versions.REFUSED_TAG: "; ".join(verdict.refusals)[:5000]}
        versions.tag(tracking, spec.name, verdict.version, tags=tags)
        drop_challenger(tracking, spec.name, verdict.version)
    from pipelines.release import report  # SciPy and scikit-learn, which workers do without

    report.publish(tracking, refused, before=verdict.champion, after=verdict.champion)
    logger.warning(
        "%s: version %d is REFUSED, the champion stays: %s",
        spec.name,
        verdict.version,
        "; ".join(verdict.refusals),
    )


def drop_challenger(tracking: Tracking, dataset: str, version: int) -> None:
    """Remove the challenger's alias if it names this version; the caller holds `releasing`."""
    challenger = versions.holder(tracking, dataset, "challenger")
    if challenger is not None and challenger.version == version:
        versions.delete_alias(tracking, dataset, "challenger")


def _chosen(tracking: Tracking, dataset: str, version: int | None) -> Registered:
    if version is not None:
        return versions.named(tracking, dataset, version)
    challenger = versions.holder(tracking, dataset, "challenger")
    if challenger is None:
        raise NotFound(f"{dataset} has no challenger. Name a version, or select candidates first.")
    return challenger


def _require_compared(chosen: Registered, serving: Registered | None) -> None:
    """The gate's verdict holds beside the champion that it was compared with, and no other."""
    judged = chosen.tags.get(versions.COMPARED_TAG)
    now = versions.NO_CHAMPION if serving is None else str(serving.version)
    if judged in (None, now):
        return
    against = judged if judged == versions.NO_CHAMPION else f"version {judged}"
    raise ChampionChanged(
        f"{chosen.dataset}: version {chosen.version} was judged against {against}, but "
        f"{_serves(serving)}. Run `medloop retrain {chosen.dataset}` to judge it again, "
        f"`medloop rollback {chosen.dataset} {chosen.version}` to return to a former champion, or "
        f"`medloop promote {chosen.dataset} {chosen.version} --force` to promote it all the same."
    )


def _require_not_rolled_back(chosen: Registered) -> None:
    told = chosen.tags.get(versions.ROLLED_BACK_TAG)
    if told is not None:
        raise ChampionChanged(
            f"{chosen.dataset}: version {chosen.version} was rolled back automatically ({told}). "
            f"`medloop promote {chosen.dataset} {chosen.version} --force` promotes it all the same."
        )


def _end_watching(context: Context, target: Registered) -> None:
    """Watch the version that was promoted no more, unless its rollback is decided and under way."""
    promotion = promotions.latest(context.settings, target.dataset)
    if promotion and not promotion.outcome and not promotion.reasons:
        said = f"rolled back by hand to version {target.version}"
        promotions.note(context.settings, promotion.model_copy(update={"outcome": said}))


def _serves(serving: Registered | None) -> str:
    return "no version serves now" if serving is None else f"version {serving.version} serves now"


def _start_chain(tracking: Tracking, chosen: Registered) -> None:
    """Forget the best champion before a version that a person promotes against the gate."""
    passed = chosen.tags.get(versions.VERDICT_TAG) == "passed"
    if versions.BEST_TAG in chosen.tags and not passed:
        names = [versions.BEST_TAG]
        versions.untag(tracking, chosen.dataset, chosen.version, names=names)


def _note_promotion(tracking: Tracking, chosen: Registered) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    if versions.ROLLED_BACK_TAG in chosen.tags:  # a person has decided otherwise
        versions.untag(tracking, chosen.dataset, chosen.version, names=[versions.ROLLED_BACK_TAG])
    versions.tag(tracking, chosen.dataset, chosen.version, tags={versions.PROMOTED_TAG: now})


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
    folder = context.settings.bundles / dataset / folder_name(registered)
    with fetching(folder.parent):
        if not _is_whole(folder):
            _download(tracking, registered, folder)
        beside.fetch(tracking, registered, folder)
    return folder


def fetch_again(context: Context, registered: Registered) -> None:
    """Fetch a bundle that was sealed again in MLflow, in place of the local copy.

    The digest of that copy is noted as one of the bundle's, as answers were logged with it.

    Raises:
        BundleError: it is not whole; the local copy stays.
        TrackingUnavailable: MLflow does not answer.
    """
    folder = context.settings.bundles / registered.dataset / folder_name(registered)
    with fetching(folder.parent):
        before = bundles.read_manifest(folder).digest
        _download(open_tracking(context.settings), registered, folder)
        bundles.note_former(folder, before)


def folder_name(registered: Registered) -> str:
    """The name of a version's folder among a data set's bundles in the home.

    The run is part of it: another MLflow server starts to count versions at 1 again.
    """
    return f"{registered.version}-{registered.run_id[:8]}"


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


def fetching(folder: Path) -> AbstractContextManager[None]:
    """Let the service's workers, which all want a new champion at once, fetch it one by one.

    Without it, one could take away what another is opening.
    """
    return locked(folder / ".lock")


def _is_whole(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        bundles.load_bundle(folder)
    except BundleError as error:
        logger.warning("fetching a bundle anew: %s", error)
        return False
    return True


def _previous(tracking: Tracking, dataset: str, serving: Registered | None) -> Registered:
    previous = versions.holder(tracking, dataset, "previous")
    if previous is None or (serving and previous.version == serving.version):
        raise NotFound(f"{dataset} has had no champion before this one. Name a version.")
    return previous


def _release(tracking: Tracking, dataset: str) -> Release:
    now = versions.holder(tracking, dataset, "champion")
    before = versions.holder(tracking, dataset, "previous")
    assert now is not None
    return Release(
        dataset=dataset,
        id=fingerprint(dataset, now.version),
        champion=now.version,
        previous=before.version if before else None,
    )
