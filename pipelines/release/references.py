"""Which versions a challenger is compared with: the champion, and the best champion so far.

Compared with the champion alone, a chain of challengers that are each a little worse gets
through. So each version remembers the best champion that it was compared with (the tag
``medloop.best_champion``). A challenger is compared with the champion and with the one that the
champion remembers, both on today's test images; it remembers the better of the two.

A version that a person promoted although the gate refused it, or without asking the gate, starts
a new chain: that person has decided to accept it.
"""

import logging
from dataclasses import dataclass

from pipelines.tracking import versions
from pipelines.tracking.client import Tracking

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class References:
    """Versions of a registered model."""

    champion: int | None = None
    """The version that serves."""
    best: int | None = None
    """The best champion so far, if it is another."""


def references(tracking: Tracking, dataset: str, challenger: int) -> References:
    """The versions that a challenger is compared with.

    Where the champion's alias was removed by hand, the version that was promoted last takes its
    place, so that its removal does not open the gate.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    serving = versions.holder(tracking, dataset, "champion")
    last = serving or versions.last_promoted(tracking, dataset)
    if last is None or last.version == challenger:
        return References()
    said = last.tags.get(versions.BEST_TAG, "")
    best = int(said) if said.isdecimal() else None
    if best in (challenger, last.version):
        best = None
    if serving is None:
        logger.warning("%s has no champion alias; version %d served last", dataset, last.version)
        return References(best=best or last.version)
    return References(last.version, best)
