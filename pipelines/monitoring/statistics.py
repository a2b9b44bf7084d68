"""How far a window is from the reference: each a number for every choice of `permutation`.

All take memberships (rows, choices) and give (choices,) distances; 0 is no difference.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.monitoring.permutation import Floats, Members


def kolmogorov_smirnov(values: NDArray[np.floating], members: Members) -> Floats:
    """Largest distance of the two distribution functions of (rows,) values: 0 to 1."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    inside = np.cumsum(members[order], axis=0)[last_of_ties]
    outside = (np.flatnonzero(last_of_ties) + 1).astype(np.float32)[:, None] - inside
    gaps = np.abs(inside / inside[-1] - outside / outside[-1])
    return np.asarray(gaps.max(axis=0), np.float64)


def jensen_shannon(kinds: NDArray[np.integer], members: Members) -> Floats:
    """Distance of the two mixes of (rows,) kinds, the root of the divergence in bits: 0 to 1."""
    indicator = (kinds[:, None] == np.arange(kinds.max() + 1)).astype(np.float32)
    inside, outside = shares(indicator, members)
    middle = (inside + outside) / 2
    divergence = (_relative_entropy(inside, middle) + _relative_entropy(outside, middle)) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0)))


def share_difference(flags: NDArray[np.bool_], members: Members) -> Floats:
    """How much more, or less, often (rows,) flags are set inside than outside: 0 to 1."""
    inside, outside = shares(flags[:, None].astype(np.float32), members)
    return np.asarray(np.abs(inside - outside)[0])


def shares(indicator: NDArray[np.float32], members: Members) -> tuple[Floats, Floats]:
    """Means of (rows, columns) inside and outside, each (columns, choices)."""
    count = members.sum(axis=0, dtype=np.float64)
    within = np.asarray(indicator.T @ members, np.float64)
    beyond = indicator.sum(axis=0)[:, None] - within
    return within / count, beyond / (len(indicator) - count)


def _relative_entropy(share: Floats, of: Floats) -> Floats:
    ratio = np.divide(share, of, out=np.ones_like(share), where=share > 0)
    return np.asarray((share * np.log2(ratio)).sum(axis=0))
