"""After how many images drift is caught, how often clean traffic alarms, and how far the estimated
accuracy is off: windows drawn from real answers of a real bundle.

    python -m benchmarks.drift BUNDLE                                        (phantom: draws itself)
    python -m benchmarks.drift BUNDLE --prepared IMAGES --landing FOLDER --others FOLDER

IMAGES is the training set, in the cache, that the bundle was made from: their validation and test
images are read from FOLDER, the landing folder. In every repetition the groups are halved by
chance: one half is the reference, windows come from the other, so that clean windows are drawn
as the reference was. Answers are kept below the cache, windows are drawn anew each time.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from loky import get_reusable_executor

from benchmarks.drift_report import Outcome, report
from benchmarks.drift_windows import BY_GROUP, MIXED, SOME_OTHERS, Task, draw
from benchmarks.drifted import Original, Pool, kept_in, pools, strangers
from pipelines.data.input.cache import read_set
from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.novelty import Novelty
from pipelines.evaluation.predictions import described
from pipelines.monitoring.estimate import estimate
from pipelines.monitoring.judge import judge
from pipelines.outputs import SplitName
from pipelines.phantom.landing import generate
from pipelines.progress import track
from pipelines.release.bundle import load_bundle
from pipelines.release.predictor import open_predictor
from pipelines.settings import get_settings
from pipelines.spec import MonitorSpec, load_spec

PHANTOM_SEED = 4711
WINDOWS = (50, 100, 200)


def main() -> None:
    """Print the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--landing", type=Path)
    parser.add_argument("--others", type=Path, help="pictures of another kind")
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--clean", type=int, default=1000, help="clean windows of 200")
    parser.add_argument("--phantoms", type=int, default=1200, help="drawn here (%(default)s)")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    bundle = load_bundle(asked.bundle)
    manifest, cache = bundle.manifest, get_settings().cache
    predictor = open_predictor(asked.bundle, "openvino", cache=cache, threads=2)
    with _originals(asked.prepared, asked.landing, phantoms=asked.phantoms) as originals:
        found = pools(predictor, originals, strangers(asked.others), kept_in(manifest))
    rules = load_spec(manifest.dataset).monitor
    tasks = list(_tasks(found, repetitions=asked.repetitions, clean=asked.clean))
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    workers = get_reusable_executor(max_workers=os.cpu_count())
    work = partial(outcome, pools=found, novelty=bundle.novelty, rules=rules)
    results = workers.map(work, tasks, chunksize=16)
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
    drawn = draw(task, pools, novelty)
    findings = judge(drawn.reference, drawn.window, rules, seed=task.seed)
    estimated = estimate(drawn.reference, drawn.window, seed=task.seed)
    return Outcome(
        kind=task.kind,
        size=task.size,
        caught=tuple(finding.name for finding in findings if finding.drifted),
        accuracy=float(drawn.window.decisions.right(drawn.labels).mean()),
        estimated=estimated,
    )


def _listed(prepared: Path, landing: Path) -> list[Original]:
    """The images held out, in their landing folder."""
    data = read_set(prepared)
    rows = [row for split in ("validation", "test") for row in _rows(data, split)]
    return [Original(landing / path, label, group) for path, label, group in rows]


def _rows(data: TrainingSet, split: SplitName) -> Iterator[tuple[str, str, str]]:
    rows = described(data, split)
    return zip(rows["source_path"], rows["label"], rows["group"], strict=True)


@contextmanager
def _originals(
    prepared: Path | None, landing: Path | None, *, phantoms: int
) -> Iterator[list[Original]]:
    """The images held out; phantoms that no model has seen where none are named."""
    if prepared is not None and landing is not None:
        yield _listed(prepared, landing)
        return
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        drawn = Path(folder) / "phantoms"
        made = generate(drawn, seed=PHANTOM_SEED, images=phantoms)
        besides = made.exact_copies.keys() | made.near_copies.keys() | made.faulty.keys()
        yield [
            Original(file, label, file.name.split("_")[0])
            for label in made.images
            for file in sorted((drawn / label).iterdir())
            if f"{label}/{file.name}" not in besides
        ]


if __name__ == "__main__":
    main()
