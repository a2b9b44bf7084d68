"""After how many images drift is caught, how often clean traffic alarms, and how far the estimated
accuracy is off: windows drawn from real answers of a real bundle.

    python -m benchmarks.drift BUNDLE                                        (phantom: draws itself)
    python -m benchmarks.drift BUNDLE --prepared SHARDS --landing FOLDER --others FOLDER

SHARDS are the local prepared shards that the bundle was made from: their validation and test
images are read from FOLDER, the landing folder. In every repetition the groups are halved by
chance: one half is the reference, windows come from the other, so that clean windows are drawn
as the reference was. Answers are kept below the cache, windows are drawn anew each time.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from loky import get_reusable_executor
from numpy.typing import NDArray

from benchmarks.drift_report import Outcome, report
from benchmarks.drifted import Original, Pool, pools, strangers
from pipelines.data.phantom.landing import generate
from pipelines.data.shards import Shards, read_shards
from pipelines.evaluation.novelty import Novelty
from pipelines.evaluation.predictions import described
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.estimate import estimate
from pipelines.monitoring.judge import judge
from pipelines.monitoring.reference import Reference
from pipelines.outputs import Profile, SplitName
from pipelines.progress import track
from pipelines.release.bundle import load_bundle
from pipelines.release.predictor import open_predictor
from pipelines.settings import get_settings
from pipelines.spec import MonitorSpec, load_spec

PHANTOMS, PHANTOM_SEED = 1200, 4711
WINDOWS = (50, 100, 200, 400)
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


def main() -> None:
    """Print the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--landing", type=Path)
    parser.add_argument("--others", type=Path, help="pictures of another kind")
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--clean", type=int, default=1000, help="clean windows of 200")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    bundle = load_bundle(asked.bundle)
    manifest, cache = bundle.manifest, get_settings().cache
    folder = cache / "benchmarks" / f"drift-{manifest.dataset}-{manifest.digest[:8]}"
    predictor = open_predictor(asked.bundle, "openvino", cache=cache, threads=2)
    with _originals(asked.prepared, asked.landing) as originals:
        found = pools(predictor, originals, strangers(asked.others), folder)
    rules = load_spec(manifest.dataset).monitor
    tasks = list(_tasks(found, repetitions=asked.repetitions, clean=asked.clean))
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    workers = get_reusable_executor(max_workers=os.cpu_count())
    work = partial(outcome, pools=found, novelty=bundle.novelty, rules=rules)
    results = workers.map(work, tasks, chunksize=8)
    outcomes = list(track(results, total=len(tasks), what="Judging windows"))
    report(outcomes, rules, title=manifest.title, plot=asked.plot)


def _tasks(found: dict[str, Pool], *, repetitions: int, clean: int) -> Iterator[Task]:
    drifts = [name for name in found if name != "clean"]
    for size in WINDOWS:
        for seed in range(clean if size == 200 else repetitions):
            yield Task("clean", size, seed)
        for kind in (*drifts, MIXED, SOME_OTHERS, BY_GROUP):
            for seed in range(repetitions):
                yield Task(kind, size, seed)


def outcome(
    task: Task, *, pools: dict[str, Pool], novelty: Novelty | None, rules: MonitorSpec
) -> Outcome:
    """Draw a window, judge it, and estimate its accuracy."""
    random = np.random.default_rng([task.seed, task.size, sum(task.kind.encode())])
    before, after = _halves(pools["clean"].answers, random)
    reference = _reference(pools["clean"], before, novelty)
    window, labels = _window(task, pools, after, random)
    findings = judge(reference, window, rules, seed=task.seed)
    estimated = estimate(reference, window, seed=task.seed)
    right = window.predicted == labels
    return Outcome(
        kind=task.kind,
        size=task.size,
        caught=tuple(finding.name for finding in findings if finding.drifted),
        accuracy=float(right.mean()),
        estimated=estimated,
    )


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


def _listed(prepared: Path, landing: Path) -> list[Original]:
    """The images held out, in their landing folder."""
    data = read_shards(prepared)
    rows = [row for split in ("validation", "test") for row in _rows(data, split)]
    return [Original(landing / path, label, group) for path, label, group in rows]


def _rows(data: Shards, split: SplitName) -> Iterator[tuple[str, str, str]]:
    rows = described(data, split)
    return zip(rows["source_path"], rows["label"], rows["group"], strict=True)


@contextmanager
def _originals(prepared: Path | None, landing: Path | None) -> Iterator[list[Original]]:
    """The images held out; phantoms that no model has seen where none are named."""
    if prepared is not None and landing is not None:
        yield _listed(prepared, landing)
        return
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        drawn = Path(folder) / "phantoms"
        made = generate(drawn, seed=PHANTOM_SEED, images=PHANTOMS)
        besides = made.exact_copies.keys() | made.near_copies.keys() | made.faulty.keys()
        yield [
            Original(file, label, file.name.split("_")[0])
            for label in made.images
            for file in sorted((drawn / label).iterdir())
            if f"{label}/{file.name}" not in besides
        ]


if __name__ == "__main__":
    main()
