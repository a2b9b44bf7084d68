"""Draw docs/images/loop.png: the retraining loop in one picture.

python docs/figures/loop.py
"""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

TARGET = Path(__file__).resolve().parent.parent / "images" / "loop.png"
WIDTH, HEIGHT = 2.05, 1.1
DATA, MODEL, RELEASE, SERVE, STOP = "#d6eaf8", "#d5f5e3", "#fdebd0", "#e8daef", "#fadbd8"


@dataclass(frozen=True)
class Step:
    """One box: where it stands, what it does, and with what."""

    x: float
    y: float
    title: str
    what: str
    colour: str


STEPS = {
    "land": Step(0, 4, "land", "open, hash, judge\nevery file", DATA),
    "ingest": Step(2.6, 4, "ingest", "immutable snapshot\nin HDFS", DATA),
    "split": Step(5.2, 4, "split", "copies found,\nleaks taken out", DATA),
    "prepare": Step(7.8, 4, "prepare", "prepared images\n(Spark)", DATA),
    "train": Step(10.4, 4, "train, evaluate", "each candidate\n(TensorFlow, MLflow)", MODEL),
    "select": Step(10.4, 1.9, "select", "the best becomes\nchallenger", MODEL),
    "gate": Step(7.8, 1.9, "gate", "rules from the spec,\nbeside the champion", RELEASE),
    "canary": Step(5.2, 1.9, "canary", "the real service is\nasked real images", RELEASE),
    "promote": Step(2.6, 1.9, "promote", "the alias champion\nmoves (MLflow)", RELEASE),
    "serve": Step(0, 1.9, "serve", "/predict, /gradcam\n(BentoML, OpenVINO)", SERVE),
    "refuse": Step(7.8, 0, "refuse", "the champion stays;\nreasons in MLflow", STOP),
    "quarantine": Step(0, 5.9, "quarantine", "what was refused,\neach with its reason", STOP),
}
ARROWS = [
    ("land", "ingest", "checked"),
    ("ingest", "split", ""),
    ("split", "prepare", "checked"),
    ("prepare", "train", "checked"),
    ("train", "select", ""),
    ("select", "gate", ""),
    ("gate", "canary", ""),
    ("canary", "promote", ""),
    ("promote", "serve", ""),
    ("gate", "refuse", ""),
    ("land", "quarantine", ""),
    ("serve", "land", "new scans"),
]


def main() -> None:
    """Draw the picture."""
    figure = Figure(figsize=(12.6, 7), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(-0.2, 12.7)
    axes.set_ylim(-0.2, 7.4)
    axes.set_aspect("equal")
    for start, end, label in ARROWS:
        _arrow(axes, STEPS[start], STEPS[end], label)
    for step in STEPS.values():
        _box(axes, step)
    axes.text(2.6, 6.45, "Airflow runs every step; Great Expectations checks between them.\n"
              "A step whose output stands has nothing to do, so any run resumes.",
              va="center", fontsize=12, color="#444444")  # fmt: skip
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=90)
    print(TARGET)


def _box(axes: Axes, step: Step) -> None:
    box = FancyBboxPatch(
        (step.x, step.y),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0.02,rounding_size=0.12",
        facecolor=step.colour,
        edgecolor="#555555",
    )
    axes.add_patch(box)
    middle = step.x + WIDTH / 2
    axes.text(middle, step.y + 0.83, step.title, ha="center", va="center", weight="bold")
    axes.text(middle, step.y + 0.36, step.what, ha="center", va="center", fontsize=9)


def _arrow(axes: Axes, start: Step, end: Step, label: str) -> None:
    x0, y0 = start.x + WIDTH / 2, start.y + HEIGHT / 2
    x1, y1 = end.x + WIDTH / 2, end.y + HEIGHT / 2
    across, up = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
    tail = (x0 + across * WIDTH / 2, y0 + up * HEIGHT / 2)
    head = (x1 - across * (WIDTH / 2 + 0.04), y1 - up * (HEIGHT / 2 + 0.04))
    axes.add_patch(
        FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=16, color="#555555")
    )
    where = ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2)
    offset = (0, 0.14) if across else (0.1, 0)
    anchor = "center" if across else "left"
    axes.text(where[0] + offset[0], where[1] + offset[1], label, ha=anchor, fontsize=8)


if __name__ == "__main__":
    main()
