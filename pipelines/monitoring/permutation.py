"""Who might as well have been in the window: random memberships, and what they make of p-values.

If a window's answers are drawn as the reference's were, it is a matter of chance which rows of
the two together are the window's. So every statistic is taken again for many random choices, and
its p-value is how often one is at least as large as what was seen: exact for any statistic, any
number of rows, with ties (Phipson and Smyth 2010). All statistics see the *same* choices, so the
chance that any of them raises a false alarm can be bounded with regard to how they hang together
(Westfall and Young 1993): nothing is lost where two of them say the same.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK = 250
"""Choices that are made, and held in memory, at a time."""
DIGITS = 10
"""Statistics that differ less are equal: the order of a sum must not decide."""

Members = NDArray[np.float32]
"""(rows, choices): 1 where a row is the window's, 0 where it is the reference's."""
Floats = NDArray[np.float64]


def memberships(
    units: Sequence[str], in_window: NDArray[np.bool_], *, choices: int, seed: int
) -> Iterator[Members]:
    """What is the window, and ``choices`` random ones like it, in blocks.

    Args:
        units: (rows,) what moves together (a patient's pictures); a unit of its own for each row
            where nothing is known. One name in the window and outside it is two units.
        in_window: (rows,) whose rows these are.
        choices: how many random ones.
        seed: of the choices; the same seed gives the same ones.

    Yields:
        memberships; the first block is ``in_window`` itself.
    """
    named = np.char.add(np.asarray(units, np.str_), np.where(in_window, "/window", "/reference"))
    _, first, unit = np.unique(named, return_index=True, return_inverse=True)
    chosen = in_window[first]
    rng = np.random.default_rng(seed)
    yield in_window[:, None].astype(np.float32)
    for start in range(0, choices, BLOCK):
        rows = min(BLOCK, choices - start)
        drawn = rng.permuted(np.broadcast_to(chosen, (rows, len(chosen))), axis=1)
        yield np.ascontiguousarray(drawn.T, np.float32)[unit]


def p_values(statistics: Floats) -> Floats:
    """(tests, 1 + choices) p-value of each choice among all, what was seen included."""
    rounded = np.round(statistics, DIGITS)
    ordered = np.sort(rounded, axis=1)
    count = rounded.shape[1]
    smaller = [np.searchsorted(line, values) for line, values in zip(ordered, rounded, strict=True)]
    return np.asarray((count - np.stack(smaller)) / count, np.float64)


def adjusted(statistics: Floats) -> Floats:
    """P-values that hold for all tests together.

    Args:
        statistics: (tests, 1 + choices); large is suspicious; what was seen comes first.

    Returns:
        (tests,) step-down minP p-values: calling each test whose value is at most a calls a
        false one with a chance of at most a, whichever of the hypotheses are true.
    """
    each = p_values(statistics)
    order = np.argsort(each[:, 0], kind="stable")
    least = np.minimum.accumulate(each[order][::-1], axis=0)[::-1]
    share = (least <= least[:, :1]).mean(axis=1)
    result = np.empty(len(each))
    result[order] = np.maximum.accumulate(share)
    return result
