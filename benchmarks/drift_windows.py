"""Windows drawn from pools of answers: the reference from one half of the groups, the window from
the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.drifted import Pool
from pipelines.evaluation.novelty import Novelty
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.reference import Reference
from pipelines.outputs import Profile

OTHERS_SHARE = 0.1
MIX_SHARE = 0.5
MIXED = "another class mix, half of one class"
SOME_OTHERS = "another kind, one in ten"
BY_GROUP = "clean, whole groups"


@dataclass(frozen=True)
class Task:
    """One window to be drawn and judged."""

    kind: str
    size: int
    seed: int


@dataclass(frozen=True)
class Drawn:
    """A window beside its reference."""

    reference: Reference
    window: Answers
    labels: NDArray[np.int64]
    """(n,) of the window; -1 of a picture that shows no class."""


def draw(task: Task, pools: dict[str, Pool], novelty: Novelty | None) -> Drawn:
    """Halve the groups by chance, and draw a window; the same task draws the same."""
    random = np.random.default_rng([task.seed, task.size, sum(task.kind.encode())])
    before, after = _halves(pools["clean"].answers, random)
    reference = _reference(pools["clean"], before, novelty)
    return Drawn(reference, *_window(task, pools, after, random))


def _halves(
    answers: Answers, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the reference and of the stream: groups are not divided."""
    _, group = np.unique(np.asarray(answers.groups), return_inverse=True)
    chosen = random.permutation(group.max() + 1) < (group.max() + 1) / 2
    rows = np.arange(len(answers))
    return rows[chosen[group]], rows[~chosen[group]]


def _reference(pool: Pool, rows: NDArray[np.int64], novelty: Novelty | None) -> Reference:
    profile = Profile(
        dataset="benchmark", id="0", path="none", run_id="none", version=None, images=len(rows)
    )
    return Reference(profile, pool.answers.take(rows), pool.labels[rows], novelty)


def _window(
    task: Task, pools: dict[str, Pool], rows: NDArray[np.int64], random: np.random.Generator
) -> tuple[Answers, NDArray[np.int64]]:
    """Answers as the service would have sampled them: whom they show is not known."""
    pool = pools.get(task.kind, pools["clean"])
    if task.kind == "another kind":
        drawn = random.choice(len(pool.labels), task.size)
    elif task.kind == MIXED:
        one = int(random.integers(len(pool.answers.classes)))
        weights = np.where(pool.labels[rows] == one, 1.0, 0.0)
        share, rest = weights.mean(), 1 - weights.mean()
        weights = np.where(weights > 0, MIX_SHARE / share, (1 - MIX_SHARE) / rest)
        drawn = random.choice(rows, task.size, p=weights / weights.sum())
    elif task.kind == BY_GROUP:
        drawn = _whole_groups(pool.answers, rows, random)[: task.size]
    else:
        drawn = random.choice(rows, task.size, replace=task.size > len(rows))
    answers, labels = pool.answers.take(drawn), pool.labels[drawn]
    if task.kind == SOME_OTHERS:
        answers, labels = _mixed_in(answers, labels, pools["another kind"], random)
    return answers, labels


def _whole_groups(
    answers: Answers, rows: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Rows in an order in which a group's follow each other, as patients come."""
    _, group = np.unique(np.asarray(answers.groups)[rows], return_inverse=True)
    return rows[np.argsort(random.permutation(group.max() + 1)[group], kind="stable")]


def _mixed_in(
    answers: Answers, labels: NDArray[np.int64], others: Pool, random: np.random.Generator
) -> tuple[Answers, NDArray[np.int64]]:
    strange = int(len(labels) * OTHERS_SHARE)
    drawn = random.choice(len(others.labels), strange, replace=False)
    kept, added = answers.take(np.arange(strange, len(labels))), others.answers.take(drawn)
    joined = Answers(
        classes=answers.classes,
        predicted=np.concatenate([kept.predicted, added.predicted]),
        probabilities=np.concatenate([kept.probabilities, added.probabilities]),
        abstained=np.concatenate([kept.abstained, added.abstained]),
        features=np.concatenate([kept.features, added.features]),
        pictures=np.concatenate([kept.pictures, added.pictures]),
    )
    return joined, np.concatenate([labels[strange:], others.labels[drawn]])
