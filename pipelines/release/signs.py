"""What the audit log says of two versions, as signs to compare (`pipelines.release.rises`)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np

from pipelines.audit.entries import ANSWERS, REFUSALS, AnsweredEntry, RefusedEntry
from pipelines.audit.moments import entries_after, entries_before
from pipelines.release.promotions import Promotion
from pipelines.release.rises import Sign
from pipelines.spec.operations import AutoRollbackSpec

LINES = 20_000
"""Lines of a log that are read on each side of a promotion, at most."""
LOOK_BACK = timedelta(days=1)
"""How old the answers of the version before may be."""
SLOW_MILLISECONDS = 100.0
"""An answer that takes no longer is not slow, whatever it took before."""
UNEXPECTED = ("unexpected_error", "out_of_memory")
"""Codes of images that we failed to answer, though the status blames the client."""
OF_IMAGES = (200, 413, 415, 422)
"""Statuses with which an image is refused; 200 where it was one of a batch."""


@dataclass(frozen=True)
class Traffic:
    """What one version was asked, in order of time."""

    answers: Sequence[AnsweredEntry]
    refusals: Sequence[RefusedEntry]

    @property
    def all(self) -> list[AnsweredEntry | RefusedEntry]:
        """Answers and refusals."""
        return sorted([*self.answers, *self.refusals], key=lambda entry: entry.time)

    @property
    def singles(self) -> list[AnsweredEntry]:
        """Answers to requests with one image: those of a batch take as long as the whole batch."""
        return [entry for entry in self.answers if "batch" not in entry.path]

    @property
    def images(self) -> list[AnsweredEntry]:
        """One answer for each different image: a health check repeats the same one."""
        first = {entry.sha256: entry for entry in reversed(self.answers)}
        return list(reversed(first.values()))


def traffic(folder: Path, promotion: Promotion, *, hours: float) -> tuple[Traffic, Traffic]:
    """What a promoted version was asked since then, and the version before until then.

    Args:
        folder: of the audit log.
        promotion: which.
        hours: how long since then.
    """
    at, dataset = promotion.at, promotion.dataset
    new = _side(
        entries_after(folder, ANSWERS, AnsweredEntry, at),
        entries_after(folder, REFUSALS, RefusedEntry, at),
        at=at,
        reach=timedelta(hours=hours),
        model=(dataset, promotion.version),
    )
    old = _side(
        entries_before(folder, ANSWERS, AnsweredEntry, at),
        entries_before(folder, REFUSALS, RefusedEntry, at),
        at=at,
        reach=LOOK_BACK,
        model=(dataset, promotion.previous),
    )
    return new, old


def _side(
    answers: Iterable[AnsweredEntry],
    refusals: Iterable[RefusedEntry],
    *,
    at: datetime,
    reach: timedelta,
    model: tuple[str, int],
) -> Traffic:
    """One model's entries, out of both logs as far as both were read."""
    answered, refused = list(islice(answers, LINES)), list(islice(refusals, LINES))
    for last in (*answered[LINES - 1 :], *refused[LINES - 1 :]):
        reach = min(reach, abs(last.time - at))

    def is_meant(entry: AnsweredEntry | RefusedEntry) -> bool:
        return (entry.dataset, entry.model_version) == model and abs(entry.time - at) <= reach

    return Traffic(
        sorted(filter(is_meant, answered), key=lambda entry: entry.time),
        sorted(filter(is_meant, refused), key=lambda entry: entry.time),
    )


def signs(limits: AutoRollbackSpec, new: Traffic, old: Traffic) -> list[Sign]:
    """Everything that is to be compared; errors alone where the version before was asked little."""
    known = len(old.answers) >= limits.answers
    if not known:
        old = Traffic((), ())
    found: list[Sign] = []
    if limits.errors is not None:
        found.append(_risen("requests failed", _failed(new), _failed(old), by=limits.errors))
    if known:
        found += _of_answers(limits, new, old)
    return found


def _of_answers(limits: AutoRollbackSpec, new: Traffic, old: Traffic) -> Iterator[Sign]:
    if limits.latency is not None:
        yield _slow(new, old, limits.latency, least=limits.answers)
    if limits.refused is not None:
        yield _risen("images refused", _refused(new), _refused(old), by=limits.refused)
    if limits.abstained is not None:
        abstained = ([bool(e.abstained) for e in side.images] for side in (new, old))
        yield _risen("the model abstained", *abstained, by=limits.abstained)
    if limits.classes is not None:
        now, before = ([e.class_name for e in side.images] for side in (new, old))
        for name in sorted({*now, *before}):
            shown = ([found == name for found in side] for side in (now, before))
            yield _risen(f"answers {name!r}", *shown, by=limits.classes)
            others = ([found != name for found in side] for side in (now, before))
            yield _risen(f"answers other than {name!r}", *others, by=limits.classes)
    if limits.confidence is not None:
        now_sure, sure = ([e.confidence for e in side.images] for side in (new, old))
        least = float(np.quantile(sure, 0.1))
        unsure = ([c < least for c in side] for side in (now_sure, sure))
        yield _risen(f"confidence below {least:.2f}", *unsure, by=limits.confidence)


def _risen(name: str, new: list[bool], old: list[bool], *, by: float) -> Sign:
    return Sign(name, new, old, above=(sum(old) / len(old) if old else 0.0) + by)


def _failed(side: Traffic) -> list[bool]:
    """Of each request: whether it failed."""
    failed = {entry.request_id for entry in side.refusals if _is_failure(entry)}
    return [name in failed for name in dict.fromkeys(entry.request_id for entry in side.all)]


def _is_failure(entry: RefusedEntry) -> bool:
    # 503: too much was asked at once. The latency shows whether a slow model is the reason.
    return (entry.status >= 500 and entry.status != 503) or entry.code in UNEXPECTED


def _refused(side: Traffic) -> list[bool]:
    """Of each image: whether it was refused."""
    flags = []
    for entry in side.all:
        if isinstance(entry, AnsweredEntry):
            flags.append(False)
        elif entry.status in OF_IMAGES and entry.code != "unknown_class":
            flags.append(True)
    return flags


def _slow(new: Traffic, old: Traffic, times: float, *, least: int) -> Sign:
    """Answers slower than a multiple of the 95th percentile of their route before."""
    before: dict[str, list[float]] = {}
    for entry in old.singles:
        before.setdefault(entry.path, []).append(entry.milliseconds)
    limits = {
        path: max(times * float(np.quantile(taken, 0.95)), SLOW_MILLISECONDS)
        for path, taken in before.items()
        if len(taken) >= least
    }
    now, then = (
        [e.milliseconds > limits[e.path] for e in side.singles if e.path in limits]
        for side in (new, old)
    )
    return Sign(f"slower than {times:g} times the 95th percentile", now, then, above=0.05)
