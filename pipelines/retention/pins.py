"""Versions in use, and what of the store they need.

A version is in use as champion, as the champion before it, while it waits for a decision, or
because the model card of such a version names it: the version it was compared with, and the best
champion so far. What such a version was made from stays: its prepared images and features for
comparisons and evidence, its reference profile for the monitor. Snapshots and splits always stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.activity import served_note
from pipelines.errors import NotFound
from pipelines.outputs import Prepared
from pipelines.release.bundle import MANIFEST
from pipelines.release.registry import folder_name
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.client import Tracking, open_tracking
from pipelines.tracking.versions import Alias, Registered

TITLES: dict[Alias, str] = {
    "champion": "champion",
    "previous": "previous champion",
    "challenger": "waits for a decision",
}


class Lineage(BaseModel):
    """What a version was made from: paths in the store. Read of bundles of any format."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    snapshot: str
    split: str
    prepared: str | None = None


@dataclass(frozen=True)
class Pins:
    """What of a data set stays, and why."""

    versions: Mapping[int, str] = field(default_factory=dict)
    """Version → reason."""
    runs: Mapping[str, str] = field(default_factory=dict)
    """Run in MLflow of such a version → reason."""
    lineages: Sequence[tuple[Lineage, str]] = ()
    """What such versions were made from, each with its reason."""
    known: Mapping[int, Registered] = field(default_factory=dict)
    """Every version that MLflow knows."""
    everything: str | None = None
    """Why all of it stays: MLflow does not say enough to decide."""

    def of_prepared(self, prepared: Prepared) -> str | None:
        """Why prepared images stay; ``None`` if no version needs them."""
        for lineage, reason in self.lineages:
            same = (lineage.snapshot, lineage.split) == (prepared.snapshot, prepared.split)
            if same or lineage.prepared == prepared.path:
                return reason
        return self.everything

    def of_inputs(self, paths: Iterable[str]) -> str | None:
        """Why something that was made from these paths stays; ``None`` if no version needs it."""
        named = set(paths)
        for lineage, reason in self.lineages:
            if named & {lineage.split, lineage.prepared}:
                return reason
        return self.everything


def read_pins(context: Context, dataset: str) -> Pins:
    """Ask MLflow which versions of a data set are in use.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    tracking = open_tracking(context.settings)
    known = {one.version: one for one in versions.every(tracking, dataset)}
    holders = {alias: versions.holder(tracking, dataset, alias) for alias in get_args(Alias)}
    aliases: dict[Alias, int] = {name: one.version for name, one in holders.items() if one}
    if doubt := _doubt(context.settings, dataset, known, aliases):
        return Pins(known=known, everything=doubt)
    reasons = reasons_of(known, aliases)
    lineages, doubt = [], None
    for version, reason in reasons.items():
        found = _lineages(context.settings, tracking, known[version])
        lineages += [(lineage, reason) for lineage in found]
        if not found:
            doubt = f"version {version} ({reason}) does not say what it was made from"
    runs = {known[version].run_id: reason for version, reason in reasons.items()}
    return Pins(reasons, runs, lineages, known, everything=doubt)


def reasons_of(known: Mapping[int, Registered], aliases: Mapping[Alias, int]) -> dict[int, str]:
    """Version → why it stays, of those that do.

    Args:
        known: every version of a data set.
        aliases: alias → the version it names; each is among ``known``.
    """
    held: dict[int, str] = {}
    for alias, title in TITLES.items():
        if alias in aliases:
            held.setdefault(aliases[alias], title)
    champion = aliases.get("champion") or _last_promoted(known)
    if champion is not None:
        held.setdefault(champion, "was promoted last; the champion alias was removed")
    for version, one in known.items():
        if version > (champion or 0) and _is_undecided(one):
            held.setdefault(version, "passed the gate and waits for a decision")
    reasons = {version: f"version {version}: {reason}" for version, reason in held.items()}
    for version in held:
        for tag in (versions.COMPARED_TAG, versions.BEST_TAG):
            named = known[version].tags.get(tag, "")
            if named.isdecimal() and int(named) in known:
                reason = f"version {named}: named by the model card of version {version}"
                reasons.setdefault(int(named), reason)
    return reasons


def _is_undecided(one: Registered) -> bool:
    decided = (versions.PROMOTED_TAG, versions.REFUSED_TAG, versions.REJECTED_TAG)
    is_passed = one.tags.get(versions.VERDICT_TAG) == "passed"
    return is_passed and not any(tag in one.tags for tag in decided)


def _last_promoted(known: Mapping[int, Registered]) -> int | None:
    times = {
        version: one.tags[versions.PROMOTED_TAG]
        for version, one in known.items()
        if versions.PROMOTED_TAG in one.tags
    }
    newest_last = sorted(times, key=lambda version: times[version])
    return newest_last[-1] if newest_last else None


def _doubt(
    settings: Settings,
    dataset: str,
    known: Mapping[int, Registered],
    aliases: Mapping[Alias, int],
) -> str | None:
    """Why what MLflow says cannot be the whole truth; ``None`` if it can."""
    where = f"MLflow at {settings.tracking_uri}"
    if lost := sorted(set(aliases.values()) - set(known)):
        return f"{where} has just got version {lost[0]}"
    if not known and any((settings.bundles / dataset).glob(f"*/{MANIFEST}")):
        return f"{where} knows no version, but bundles are here: is it the right MLflow?"
    folders = {folder_name(one) for one in known.values()}
    served = _served(settings, dataset)
    if served is not None and served not in folders:
        return f"{where} does not know the version that the service serves ({served})"
    return None


def _served(settings: Settings, dataset: str) -> str | None:
    """The folder's name of the bundle that the service has noted as serving."""
    try:
        note = _Note.model_validate_json(served_note(settings, dataset).read_bytes())
    except (OSError, ValidationError):
        return None
    place = Path(note.bundle)
    return place.name if (settings.home / place).parent == settings.bundles / dataset else None


class _Note(BaseModel):
    bundle: str


def _lineages(settings: Settings, tracking: Tracking, one: Registered) -> list[Lineage]:
    """What a version was made from, by its tags and by its sealed bundle; [] if neither says."""
    found = []
    tags = (one.tags.get(versions.SNAPSHOT_TAG), one.tags.get(versions.SPLIT_TAG))
    if tags[0] and tags[1]:
        found.append(Lineage(snapshot=tags[0], split=tags[1]))
    kept = settings.bundles / one.dataset / folder_name(one) / MANIFEST
    try:
        if kept.is_file():
            found.append(Lineage.model_validate_json(kept.read_bytes()))
        elif not found:
            content = tracking.read_json(one.run_id, f"{one.bundle}/{MANIFEST}")
            found.append(Lineage.model_validate(content))
    except (NotFound, ValidationError, ValueError):
        pass
    return found
