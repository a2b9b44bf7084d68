"""The table of docs/models.md: every candidate on every data set, as it stands in MLflow.

    python -m benchmarks.models brain_mri chest_xray skin_lesion

Figures with their 95 % intervals come from the newest evaluation of each candidate, training
minutes from its run. Each model is exported as its bundle would be; size is that of the OpenVINO
files, and latency the median of 100 forward passes of one image on one thread, taken now.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import markdown
from pipelines.errors import NotFound
from pipelines.evaluation.record import Evaluation, newest_evaluations
from pipelines.evaluation.targets import ANY_FINDING
from pipelines.release.bundle import IR, IR_WEIGHTS
from pipelines.release.export import export_model
from pipelines.stage import Context, default_context
from pipelines.tracking.client import open_tracking
from pipelines.tracking.keras_models import fetch_model

if TYPE_CHECKING:
    from mlflow.entities import Run

PASSES = 100
FIGURES = ("accuracy", "macro_f1", f"sensitivity.{ANY_FINDING}", "macro_auroc", "macro_auprc")


@dataclass(frozen=True)
class Served:
    """What a candidate's network costs in service."""

    megabytes: float
    milliseconds: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("datasets", nargs="+")
    context = default_context()
    rows = [
        _row(context, name, run, found)
        for name in parser.parse_args().datasets
        for run, found in newest_evaluations(open_tracking(context.settings), name).values()
    ]
    print(markdown(rows))


def _row(context: Context, name: str, run: "Run", found: Evaluation) -> dict[str, str]:
    test = found.splits["test"]
    shown = dict.fromkeys(FIGURES, "")
    for figure in FIGURES:
        if figure in test.figures:
            low, high = test.intervals[figure]
            shown[figure] = f"{test.figures[figure]:.3f} ({low:.3f} to {high:.3f})"
    served = _served(context, run.info.run_id)
    return {
        "data set": name,
        "candidate": found.candidate,
        **shown,
        "ECE": f"{found.calibration['test'].after.ece:.3f}",
        "training": f"{run.data.metrics['training.seconds'] / 60:.1f} min",
        "size": f"{served.megabytes:.1f} MB" if served else "",
        "latency": f"{served.milliseconds:.1f} ms" if served else "",
    }


def _served(context: Context, run_id: str) -> Served | None:
    """Size and latency of a run's network; ``None`` for a candidate that is none."""
    import keras
    import openvino

    try:
        file = fetch_model(open_tracking(context.settings), run_id, cache=context.settings.cache)
    except NotFound:
        return None
    model = keras.saving.load_model(file, compile=False)
    with tempfile.TemporaryDirectory(prefix="medloop-") as name:
        folder = Path(name)
        export_model(model, folder)
        size = sum((folder / part).stat().st_size for part in (IR, IR_WEIGHTS))
        options = {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(folder / IR, "CPU", options)
        image = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:]))
        return Served(size / 1e6, _latency(compiled, image.astype(np.float32)))


def _latency(compiled: Any, image: NDArray[np.float32]) -> float:
    """Median milliseconds of a forward pass, after ten that nobody counts."""
    request = compiled.create_infer_request()
    spent = []
    for _ in range(PASSES + 10):
        began = time.perf_counter()
        request.infer([image])
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent[10:])


if __name__ == "__main__":
    main()
