"""What goes on beside retraining: scoring, watching the champion, backups, removing what is old."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import validate_call

from pipelines.errors import NotFound
from pipelines.loop.opening import opened, step
from pipelines.outputs import Monitored, Profile, Scores
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec, spec_names
from pipelines.stage import Context, default_context

if TYPE_CHECKING:
    from pipelines.erasure.certificate import Certificate
    from pipelines.erasure.erase import Asked, Plan
    from pipelines.retention.prune import Pruned

logger = logging.getLogger(__name__)


@validate_call
@step
def score(
    dataset: str,
    snapshot: str | None = None,
    source: str | None = None,
    *,
    overlays: bool = False,
) -> Scores:
    """Let the champion answer for each image of a snapshot (its id; the newest if neither is
    named), or for each file of the folder ``source``."""
    from pipelines.release import registry
    from pipelines.scoring import score, subjects

    spec, context = opened(dataset)
    bundle = registry.fetch_champion(context, dataset)
    images = subjects.choose(spec, context, snapshot=snapshot, source=source)
    return score.run(spec, context, bundle, subject=images, overlays=overlays)


def watched(dataset: str) -> bool:
    """Whether there is a champion to watch.

    Raises:
        NotFound: there was one, and its alias was removed by hand.
    """
    from pipelines.release import registry

    _, context = opened(dataset)
    if registry.champion(context, dataset) is not None:
        return True
    if registry.was_promoted(context, dataset):
        raise NotFound(registry.no_champion(context, dataset))
    return False


@validate_call
@step
def profile(dataset: str) -> Profile:
    """Make the reference profile of the champion: what its answers look like while all is well."""
    from pipelines.monitoring import monitor

    _, context = opened(dataset)
    return monitor.profile(context, dataset)


@validate_call
@step
def monitor(dataset: str) -> Monitored:
    """Judge what the champion was asked, and what has landed, since the last time; tell of it."""
    from pipelines.monitoring import monitor

    spec, context = opened(dataset)
    return monitor.run(spec, context)


@validate_call
def drift_confirmed(monitored: Monitored) -> bool:
    """Whether drift is confirmed and nobody was woken for it yet."""
    return monitored.confirmed


@validate_call
def confirm_drift(dataset: str, monitored: Monitored) -> None:
    """Note that confirmed drift has woken who waits for it: once for each time that it comes."""
    from pipelines.monitoring import monitor

    _, context = opened(dataset)
    monitor.woken(context, dataset)
    logger.warning("%s: drift is confirmed; see %s", dataset, monitored.report)


@step
def label(dataset: str, file: Path) -> int:
    """Keep the true classes of answers, from a CSV file; how many there were."""
    from pipelines.monitoring import labels

    spec, context = opened(dataset)
    return labels.note_labels(context.store, spec, file)


def backup(to: Path | None = None, *, pictures: bool | None = None, keep: int | None = None) -> str:
    """Take a backup of this installation.

    Args:
        to: the folder it goes to; the installation's own if ``None``.
        pictures: whether images go along; as the settings say if ``None``.
        keep: how many backups stay there; as the settings say if ``None``.

    Returns:
        The backup's folder.
    """
    from pipelines.backup import take

    settings = get_settings()
    folder = take.run(
        settings,
        to=to,
        pictures=settings.backup_snapshots if pictures is None else pictures,
        keep=settings.backup_keep if keep is None else keep,
    )
    return str(folder)


def prune() -> "Pruned":
    """Remove what is older than its kind is kept and no version in use needs."""
    from pipelines.retention import prune

    pruned, _ = prune.run(default_context())
    return pruned


def plan_erasure(dataset: str, asked: "Asked | None", *, mlflow: bool = True) -> "Plan":
    """What erasing images would change; ``None`` for an erasure that was cut short."""
    from pipelines.erasure.erase import Erasure

    return Erasure(*_erasable(dataset), asked, mlflow=mlflow).plan()


def _erasable(dataset: str) -> tuple[DatasetSpec, Context]:
    """As `opened`, also of an external collection."""
    names = spec_names()
    if dataset in names:
        return opened(dataset)
    from pipelines.data.external import spec_named

    return spec_named(dataset, map(load_spec, names)), default_context()


def erase(
    dataset: str, asked: "Asked | None", *, leave_landed: bool = False, mlflow: bool = True
) -> tuple["Certificate", Path]:
    """Erase images, or finish an erasure that was cut short (``None``).

    Returns:
        The certificate, and a local copy of its page.
    """
    from pipelines.erasure.certificate import page
    from pipelines.erasure.erase import Erasure

    spec, context = _erasable(dataset)
    certificate = Erasure(spec, context, asked, mlflow=mlflow).run(leave_landed=leave_landed)
    copy = context.settings.home / "reports" / f"{dataset}-erasure-{certificate.id}.html"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(page(certificate), encoding="utf-8")
    return certificate, copy
