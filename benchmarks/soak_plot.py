"""The picture of a soak: latency, memory, open files and threads over time."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.soak import Soak


def draw(soak: "Soak", file: Path) -> None:
    """Write a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    latency, memory, handles = figure.subplots(3, 1, sharex=True)
    minutes = [window.at / 60 for window in soak.windows]
    latency.plot(minutes, [window.p50 for window in soak.windows], label="p50")
    latency.plot(minutes, [window.p99 for window in soak.windows], label="p99")
    latency.set(ylabel="latency, ms", ylim=(0, None))
    latency.set_title(f"{soak.rate:.0f} requests/s, {soak.rate / soak.capacity:.0%} of capacity")
    minutes = [weight.at / 60 for weight in soak.weights]
    memory.plot(minutes, [weight.pss for weight in soak.weights], label="PSS of the workers")
    memory.plot(minutes, [weight.rss for weight in soak.weights], label="RSS", alpha=0.5)
    memory.set(ylabel="memory, MB", ylim=(0, None))
    handles.plot(minutes, [weight.files for weight in soak.weights], label="open files")
    handles.plot(minutes, [weight.threads for weight in soak.weights], label="threads")
    handles.set(xlabel="minutes", ylim=(0, None))
    for axes in (latency, memory, handles):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", frameon=False)
    figure.savefig(file, dpi=120)
