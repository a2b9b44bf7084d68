"""Whether a share has risen beyond a limit since a promotion, and not by chance.

A version is looked at again and again while its answers come, and each look could be the one that
goes wrong by chance. So it is looked at after ``n``, ``2n``, ``4n`` … answers only, and look ``k``
(1, 2, …) may be wrong with the probability ``alpha / (k (k + 1))``: all together, ``alpha``. What
is found depends on the answers alone, not on when or how often somebody looks.

The test is Fisher's exact test, one-sided; the exact binomial test where there is nothing to
compare with. It takes answers for independent, and those of one bad moment are not. So the share
has to be beyond the limit in the first half of the answers and in the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binom, hypergeom


@dataclass(frozen=True)
class Sign:
    """Something that answers do or do not show."""

    name: str
    """For a person: ``requests failed``."""
    new: Sequence[bool]
    """Of the answers since the promotion, in order."""
    old: Sequence[bool]
    """Of the answers of the version before; empty if there are none."""
    above: float
    """The share beyond which it is too many."""


@dataclass(frozen=True)
class Rise:
    """A share that rose beyond its limit."""

    sign: Sign
    looked_at: int
    """Answers since the promotion, from the first on."""

    @property
    def told(self) -> str:
        """For a person, with figures."""
        new, old = self.sign.new[: self.looked_at], self.sign.old
        before = f"{sum(old)} of {len(old)} ({_share(old):.1%})" if old else "not known"
        return (
            f"{self.sign.name}: {sum(new)} of {len(new)} ({_share(new):.1%}), before: {before}, "
            f"limit {self.sign.above:.1%}"
        )


def rise(sign: Sign, *, first: int, false_alarms: float) -> Rise | None:
    """The first look at which a share had risen beyond its limit.

    Args:
        sign: what is counted.
        first: answers at the first look.
        false_alarms: probability of an alarm where nothing has changed, over all looks.
    """
    seen, look = first, 1
    while seen <= len(sign.new):
        new = sign.new[:seen]
        halves = new[: seen // 2], new[seen // 2 :]
        chance = false_alarms / (look * (look + 1))
        if all(_share(half) > sign.above for half in halves) and _by_chance(sign, new) <= chance:
            return Rise(sign, seen)
        seen, look = 2 * seen, look + 1
    return None


def _by_chance(sign: Sign, new: Sequence[bool]) -> float:
    """Probability of so many or more, if nothing has changed."""
    if not sign.old:
        return float(binom.sf(sum(new) - 1, len(new), sign.above))
    among = sum(new) + sum(sign.old)
    return float(hypergeom.sf(sum(new) - 1, len(new) + len(sign.old), among, len(new)))


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
