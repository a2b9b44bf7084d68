"""What it brings, and costs, to ask a model in several poses of an image.

    python -m benchmarks.poses MODEL FOLDER

MODEL is a trained ``model.keras`` that answers for one pose; FOLDER is the training set, on this
machine, that it was trained on (``$MEDLOOP_HOME/cache/<dataset>/training_sets/<id>``). Its
validation images are asked through OpenVINO, as the service asks. Costs are processor time of one
image on one thread, which says the same on a machine that is busy with other things.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import log_loss, roc_auc_score

from pipelines.data.input.cache import read_set
from pipelines.data.input.training_set import TrainingSet
from pipelines.evaluation.calibration import fit_temperature, softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.models.average import Poses, over_poses
from pipelines.release.export import export_model

ONE_AT_A_TIME = 60


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    data = read_set(options.folder)
    labels = data.split("validation").labels()
    table = Table(
        *("poses", "accuracy", "macro AUROC", "log loss", "ms an image"),
        title=f"{len(labels):,} validation images of {options.folder.parent.parent.name}",
    )
    for poses in get_args(Poses):
        ask = _asking(options.model, poses)
        logits = _logits(ask, data, poses)
        probabilities = softmax(logits, fit_temperature(logits, labels))
        table.add_row(poses, *_figures(labels, probabilities), f"{_cost(ask, data):.1f}")
    Console().print(table)


def _asking(model_file: Path, poses: Poses) -> Any:
    """The model, for these poses, as the service runs it on one thread."""
    import keras
    import openvino

    model = over_poses(keras.saving.load_model(model_file, compile=False), poses)
    with tempfile.TemporaryDirectory(prefix="medloop-benchmark-") as folder:
        export_model(model, Path(folder))
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        return openvino.Core().compile_model(Path(folder) / "model.xml", "CPU", settings)


def _logits(ask: Any, data: TrainingSet, poses: str) -> Any:
    batches = list(data.split("validation").batches(16))
    asked = track(batches, description=f"asking {poses}")
    return np.concatenate([ask(batch.images.astype(np.float32))["logits"] for batch in asked])


def _figures(labels: Any, probabilities: Any) -> list[str]:
    """Accuracy by argmax, macro AUROC (one against the rest) and log loss, calibrated."""
    classes = [str(index) for index in range(probabilities.shape[1])]
    one_hot = np.eye(probabilities.shape[1])[labels]
    return [
        f"{Decisions.by_likeliest(probabilities, classes).right(labels).mean():.4f}",
        f"{roc_auc_score(one_hot, probabilities):.4f}",
        f"{log_loss(labels, probabilities):.4f}",
    ]


def _cost(ask: Any, data: TrainingSet) -> float:
    """Median milliseconds of processor time for one image."""
    image = next(data.split("validation").batches(1)).images.astype(np.float32)
    spent = []
    for _ in range(ONE_AT_A_TIME):
        began = time.process_time()
        ask(image)
        spent.append(time.process_time() - began)
    return statistics.median(spent) * 1e3


if __name__ == "__main__":
    main()
