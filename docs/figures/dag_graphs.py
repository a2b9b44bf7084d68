"""Draw docs/images/dag-retrain.png, dag-monitor.png, dag-score.png: each DAG's graph as it is.

Tasks and arrows are read from the DAGs themselves, for a data set with an approval that drift
wakes too, so that everything there can be shows. Arrows that others imply are left out.

python docs/figures/dag_graphs.py
"""

import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pipelines.isolation import settings_environment

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT, APART, DOWN = 2.3, 0.5, 3.0, 0.95
SMALL, HEAVY, CHOICE, PERSON, ASSET = "#d6eaf8", "#fdebd0", "#ffffff", "#e8daef", "#d5f5e3"
MEANINGS = {
    "a step": SMALL,
    "a heavy step (few at once)": HEAVY,
    "a choice": CHOICE,
    "a person": PERSON,
    "what wakes it, what it makes": ASSET,
}
Graph = Mapping[str, set[str]]
"""Task → the tasks directly after it."""
Place = tuple[float, float]


def main() -> None:
    """Draw the pictures."""
    with tempfile.TemporaryDirectory(prefix="medloop-dags-") as folder:
        os.environ |= settings_environment({"home": folder, "datasets": folder})
        os.environ["AIRFLOW_HOME"] = folder
        spec = yaml.safe_load((ROOT / "datasets" / "phantom.yaml").read_text("utf-8"))
        spec |= {"approval": {}, "retrain": {"on_drift": True}}
        (Path(folder) / "phantom.yaml").write_text(yaml.safe_dump(spec), "utf-8")
        for dag in _dags():
            target = IMAGES / f"dag-{dag.dag_id.partition('_')[0]}.png"
            _draw(dag).savefig(target, dpi=90)
            print(target)


def _dags() -> list[Any]:
    from dags.monitor import monitor_dag
    from dags.retrain import retrain_dag
    from dags.score import score_dag

    return [factory("phantom") for factory in (retrain_dag, monitor_dag, score_dag)]


def _draw(dag: Any) -> Figure:
    graph = reduced({task.task_id: set(task.downstream_task_ids) for task in dag.tasks})
    places = layout(graph)
    wakers = [asset.name for asset in dag.timetable.asset_condition.objects]
    clock = getattr(dag.timetable, "timetable", None)
    wakers += [f"clock: {clock.expression}"] if clock else []
    left = min(x for x, _ in places.values()) - APART / 2
    right = max(x for x, _ in places.values()) + 1.5 * APART
    right = max(right, (len(wakers) + 0.5) * APART)
    low = min(y for _, y in places.values())
    figure = Figure(figsize=((right - left) * 0.85, (3.6 * DOWN - low) * 0.85), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(left, right)
    axes.set_ylim(low - 2 * DOWN, 1.6 * DOWN)
    for task, after in graph.items():
        for other in after:
            _arrow(axes, places[task], places[other])
    for n, waker in enumerate(wakers):
        place = (n * APART, DOWN)
        _box(axes, place, waker, ASSET)
        _arrow(axes, place, places[dag.tasks[0].task_id])
    for task in dag.tasks:
        place = places[task.task_id]
        _box(axes, place, task.task_id, _colour(task))
        for n, asset in enumerate(task.outlets):
            beside = (right - APART / 2, place[1] - n * DOWN)
            _arrow(axes, place, beside)
            _box(axes, beside, asset.name, ASSET)
    shown = {ASSET, *(_colour(task) for task in dag.tasks)}
    meanings = {said: colour for said, colour in MEANINGS.items() if colour in shown}
    _legend(axes, left + 0.45, low - DOWN * 0.75, meanings)
    return figure


def reduced(graph: Graph) -> Graph:
    """The graph without arrows that a longer way implies."""

    @cache
    def below(task: str) -> frozenset[str]:
        return frozenset(graph[task]).union(*(below(other) for other in graph[task]))

    return {
        task: {one for one in after if not any(one in below(other) for other in after)}
        for task, after in graph.items()
    }


def layout(graph: Graph) -> dict[str, Place]:
    """Tasks in rows, each below all that it waits for, the longest way down on the left."""
    before = {task: [one for one, after in graph.items() if task in after] for task in graph}

    @cache
    def depth(task: str) -> int:
        return 1 + max((depth(one) for one in before[task]), default=-1)

    @cache
    def height(task: str) -> int:
        return 1 + max((height(one) for one in graph[task]), default=0)

    first = next(iter(graph))
    rows: dict[int, list[str]] = {}
    for task in graph:
        waits = before[task] or task == first
        row = depth(task) if waits else min(depth(one) for one in graph[task]) - 1
        rows.setdefault(row, []).append(task)
    places: dict[str, Place] = {}
    for row in sorted(rows):
        above = {t: [places[b][0] for b in before[t]] or [len(rows[row])] for t in rows[row]}
        ordered = sorted(rows[row], key=lambda t: (sum(above[t]) / len(above[t]), -height(t)))
        for column, task in enumerate(ordered):
            places[task] = (column * APART, -row * DOWN)
    return places


def _colour(task: Any) -> str:
    if task.pool == "heavy":
        return HEAVY
    if task.task_id == "approval":
        return PERSON
    chooses = "Branch" in task.task_type or "Short" in task.task_type
    return CHOICE if chooses else SMALL


def _box(axes: Axes, middle: Place, text: str, colour: str) -> None:
    corner = (middle[0] - WIDTH / 2, middle[1] - HEIGHT / 2)
    shape = FancyBboxPatch(
        corner,
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0.02,rounding_size=0.1",
        facecolor=colour,
        edgecolor="#555555",
        zorder=2,
    )
    axes.add_patch(shape)
    axes.text(*middle, text, ha="center", va="center", fontsize=9, zorder=3)


def _arrow(axes: Axes, start: Place, end: Place) -> None:
    level = start[1] == end[1]
    tail = (start[0] + WIDTH / 2, start[1]) if level else (start[0], start[1] - HEIGHT / 2)
    head = (end[0] - WIDTH / 2, end[1]) if level else (end[0], end[1] + HEIGHT / 2)
    axes.add_patch(
        FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=10, color="#777777", zorder=1)
    )


def _legend(axes: Axes, x: float, y: float, meanings: Mapping[str, str]) -> None:
    for n, (meaning, colour) in enumerate(meanings.items()):
        axes.text(
            x + n % 2 * APART * 0.8, y - n // 2 * 0.32, meaning, fontsize=7.5, va="center",
            bbox={"boxstyle": "round", "facecolor": colour, "edgecolor": "#555555"},
        )  # fmt: skip


if __name__ == "__main__":
    main()
