"""Roll a promoted version back where its answers are worse than those of the version before.

A wrong rollback only brings back a model that has passed the gate, so no person is asked. The
decision is written down before anything moves; each step after it can be repeated.
"""

import logging
from datetime import UTC, datetime, timedelta

from pipelines.alerts.alert import Alert
from pipelines.alerts.send import send
from pipelines.audit.entries import RolledBackEntry, audit_folder, note_rollback
from pipelines.errors import BundleError, ChampionChanged, NotFound
from pipelines.locks import alone
from pipelines.release import promotions, registry
from pipelines.release.predictor import open_predictor
from pipelines.release.promotions import Promotion
from pipelines.release.rises import rise
from pipelines.release.signs import signs, traffic
from pipelines.spec import DatasetSpec
from pipelines.spec.operations import AutoRollbackSpec
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking

logger = logging.getLogger(__name__)

LONGEST_TAG = 5000


def check(spec: DatasetSpec, context: Context) -> Promotion | None:
    """Compare the version that was promoted last with the one before; roll it back if it is worse.

    One process at a time; killed at any point, it is finished by the next call.

    Returns:
        The promotion and what came of it; ``None`` if none is watched.

    Raises:
        TrackingUnavailable: MLflow does not answer; what is decided stays so.
    """
    with alone(context.settings.work / "auto_rollback" / spec.name):
        promotion = promotions.latest(context.settings, spec.name)
        if promotion is None or promotion.outcome or spec.auto_rollback is None:
            return None
        if not promotion.reasons:
            promotion = _judged(spec.auto_rollback, context, promotion)
        return _rolled_back(context, promotion) if promotion.reasons else promotion


def _judged(limits: AutoRollbackSpec, context: Context, promotion: Promotion) -> Promotion:
    folder = audit_folder(context.settings)
    new, old = traffic(folder, promotion, hours=limits.hours)
    compared = signs(limits, new, old)
    share = limits.false_alarms / max(len(compared), 1)
    rises = [rise(sign, first=limits.answers, false_alarms=share) for sign in compared]
    if reasons := tuple(found.told for found in rises if found):
        return _changed(context, promotion, reasons=reasons)
    if datetime.now(UTC) < promotion.at + timedelta(hours=limits.hours):
        return promotion
    enough = "not worse" if len(new.answers) >= limits.answers else "too few answers to compare"
    counts = f"{len(new.answers)} answers, {len(old.answers)} before"
    said = f"{enough} in {limits.hours:g} h: {counts}"
    tags = {versions.WATCHED_TAG: said}
    tracking = open_tracking(context.settings)
    versions.tag(tracking, promotion.dataset, promotion.version, tags=tags)
    return _changed(context, promotion, outcome=said)


def _changed(context: Context, promotion: Promotion, **changes: object) -> Promotion:
    """The promotion with changes, written down; as it is now if it is no longer the latest."""
    with registry.releasing(context, promotion.dataset):
        now = promotions.latest(context.settings, promotion.dataset)
        if now == promotion:
            now = promotion.model_copy(update=changes)
            promotions.note(context.settings, now)
    return now or promotion


def _rolled_back(context: Context, promotion: Promotion) -> Promotion:
    dataset, version, previous = promotion.dataset, promotion.version, promotion.previous
    settings, tracking = context.settings, open_tracking(context.settings)
    serving = versions.holder(tracking, dataset, "champion")
    if serving is None or serving.version not in (version, previous):
        return _changed(context, promotion, outcome="another version was promoted meanwhile")
    try:
        folder = registry.fetch(context, dataset, previous)
        open_predictor(folder, "openvino", cache=settings.cache, threads=1)
    except (BundleError, NotFound) as error:
        send(settings, _alert(context, promotion, failed=error))
        return _changed(context, promotion, outcome=f"not rolled back: {error}")
    told = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {'; '.join(promotion.reasons)}"[:LONGEST_TAG]
    # Before the alias moves: from here on nothing promotes it by itself.
    tags = {versions.ROLLED_BACK_TAG: told}
    versions.tag(tracking, dataset, version, tags=tags)
    if serving.version == version:
        try:
            registry.rollback(context, dataset, previous, expect=version)
        except ChampionChanged:
            return _changed(context, promotion, outcome="another version was promoted meanwhile")
    tags = {versions.RESTORED_TAG: f"from version {version}, {told}"[:LONGEST_TAG]}
    versions.tag(tracking, dataset, previous, tags=tags)
    _forget_previous(context, dataset, version)
    note_rollback(
        settings,
        RolledBackEntry(
            dataset=dataset,
            version=version,
            restored=previous,
            promoted=promotion.at,
            reasons=promotion.reasons,
        ),
    )
    send(settings, _alert(context, promotion))
    logger.warning("%s: version %d was rolled back: %s", dataset, version, told)
    return _changed(context, promotion, outcome=f"rolled back to version {previous}")


def _forget_previous(context: Context, dataset: str, version: int) -> None:
    """A rollback by hand must not bring back the version that was just rolled back."""
    tracking = open_tracking(context.settings)
    with registry.releasing(context, dataset):
        before = versions.holder(tracking, dataset, "previous")
        if before is not None and before.version == version:
            versions.delete_alias(tracking, dataset, "previous")


def _alert(context: Context, promotion: Promotion, failed: Exception | None = None) -> Alert:
    dataset, version, previous = promotion.dataset, promotion.version, promotion.previous
    title = f"{dataset}: version {version} was rolled back to version {previous}"
    advice = (
        f"Version {previous} serves again. The gate refuses version {version} from now on; "
        f"`medloop promote {dataset} {version} --force` promotes it all the same."
    )
    if failed is not None:
        title = f"{dataset}: version {version} is worse, and version {previous} cannot serve"
        advice = (
            f"Version {version} goes on, as version {previous} cannot be loaded ({failed}). "
            f"Name a version that can: `medloop rollback {dataset} VERSION`."
        )
    reasons = "\n".join(f"- {reason}" for reason in promotion.reasons)
    return Alert(
        kind="rolled_back",
        severity="critical",
        dataset=dataset,
        subject=f"version {version}",
        title=title,
        text=f"Since its promotion:\n{reasons}\n{advice}",
        link=f"{context.settings.tracking_uri}/#/models/{dataset}/versions/{version}",
    )
