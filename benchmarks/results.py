"""The table of docs/results.md: what the loop did with each data set, read from where it stands.

    python -m benchmarks.results phantom brain_mri chest_xray skin_lesion

Images and splits come from the store, figures with their intervals from MLflow, seconds per step
from the finished DAG run in which the step took longest (the one that did the work), and the
service's answer time is measured now: median and 95th percentile of 200 requests over one kept
connection.
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence

import httpx

from pipelines import loop
from pipelines.data import revisions
from pipelines.data.restore import originals
from pipelines.data.rows import Refused
from pipelines.data.split.members import members
from pipelines.data.tables import Table
from pipelines.evaluation.record import Evaluation, read_evaluation
from pipelines.outputs import SPLITS, Snapshot, Split
from pipelines.release import registry
from pipelines.scheduler import RunState, open_scheduler
from pipelines.stage import Context, default_context
from pipelines.tracking.client import open_tracking

REQUESTS = 200
STEPS = {
    "land": ("land",),
    "check": ("check_landing", "check_snapshot", "check_prepared"),
    "ingest": ("ingest",),
    "split": ("split",),
    "prepare": ("prepare",),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "select, gate": ("select", "gate"),
    "canary, promote": ("canary", "promote"),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("datasets", nargs="+")
    names: list[str] = parser.parse_args().datasets
    context = default_context()
    print(_data_table(context, names), end="\n\n")
    print(_seconds_table(context, names), end="\n\n")
    print(_figures_table(context, names), end="\n\n")
    print(_service_table(context, names))


def _data_table(context: Context, names: list[str]) -> str:
    rows: list[dict[str, str | int]] = []
    for name in names:
        snapshot = loop.latest_snapshot(name)
        split = loop.split(name, snapshot)
        sizes = {part: sum(split.counts[part].values()) for part in SPLITS}
        rows.append(
            {
                "data set": name,
                "images in": snapshot.images + _quarantined(context, snapshot),
                "quarantined": _quarantined(context, snapshot),
                "exact copies": split.exact_duplicates,
                "near copies": split.near_duplicates,
                "leaks taken out": split.leaks,
                "train / validation / test": " / ".join(f"{n:,}" for n in sizes.values()),
            }
        )
    return markdown(rows)


def _quarantined(context: Context, snapshot: Snapshot) -> int:
    if snapshot.quarantine is None:
        return 0
    return len(Table.open(context, snapshot.dataset, Refused).arrow(["reason"]))


def _seconds_table(context: Context, names: list[str]) -> str:
    rows = []
    for name in names:
        runs = _finished_runs(context, f"retrain_{name}")
        seconds = {step: max(_spent(run, tasks) for run in runs) for step, tasks in STEPS.items()}
        shown = {step: f"{value:.0f}" for step, value in seconds.items()}
        rows.append({"data set": name, **shown, "all": f"{sum(seconds.values()):.0f}"})
    return markdown(rows)


def _spent(run: RunState, tasks: tuple[str, ...]) -> float:
    return sum(task.seconds or 0 for task in run.tasks if task.task in tasks)


def _finished_runs(context: Context, dag: str) -> list[RunState]:
    scheduler = open_scheduler(context.settings)
    return [scheduler.state(dag, run) for run in scheduler.finished(dag)]


def _figures_table(context: Context, names: list[str]) -> str:
    rows = []
    for name in names:
        for evaluation in _evaluations(context, name):
            test = evaluation.splits["test"]
            shown = {
                figure: f"{test.figures[figure]:.3f} ({low:.3f} to {high:.3f})"
                for figure in ("accuracy", "macro_f1", "macro_sensitivity", "macro_auroc")
                for low, high in [test.intervals[figure]]
            }
            rows.append({"data set": name, "candidate": evaluation.candidate, **shown})
    return markdown(rows)


def _evaluations(context: Context, name: str) -> list[Evaluation]:
    """The newest evaluation of each candidate."""
    tracking = open_tracking(context.settings)
    newest: dict[str, Evaluation] = {}
    with tracking.reaching() as client:
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
    for run in runs:
        evaluation = read_evaluation(tracking, run.info.run_id)
        if evaluation is not None:
            newest.setdefault(evaluation.candidate, evaluation)
    return list(newest.values())


def _service_table(context: Context, names: list[str]) -> str:
    rows = []
    for name in names:
        if registry.champion(context, name) is None:
            continue
        image = _a_test_image(context, loop.split(name, loop.latest_snapshot(name)))
        row = {"data set": name}
        for path in ("/predict", "/gradcam", "/explain"):
            times = _ask(context.settings.service, path, name, image)
            row[path] = (
                f"{statistics.median(times):.1f} ({sorted(times)[len(times) * 95 // 100]:.1f})"
            )
        rows.append(row)
    return markdown(rows)


def _a_test_image(context: Context, split: Split) -> bytes:
    rows = members(context, split.path, ["sha256", "split"]).to_pandas()
    first = rows.loc[rows["split"] == "test", "sha256"].min()
    snapshot = revisions.at(context, split.snapshot)
    places = revisions.files(context, snapshot, revisions.PACK_COLUMNS, of=[first]).to_pylist()
    (_, content), *_ = originals(context, places[:1])
    return content


def _ask(service: str, path: str, dataset: str, image: bytes) -> list[float]:
    """Milliseconds of each answer."""
    times = []
    with httpx.Client(base_url=service, trust_env=False, timeout=30) as http:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            http.post(path, data={"dataset": dataset}, files={"image": image}).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
    return times


def markdown(rows: Sequence[Mapping[str, str] | Mapping[str, str | int]]) -> str:
    """Rows as a table in Markdown; whole numbers with separators."""
    columns: list[str | int] = list(rows[0])
    rule: list[str | int] = ["---"] * len(columns)
    lines = [columns, rule, *(list(row.values()) for row in rows)]
    return "\n".join(
        "| " + " | ".join(f"{x:,}" if isinstance(x, int) else str(x) for x in line) + " |"
        for line in lines
    )


if __name__ == "__main__":
    main()
