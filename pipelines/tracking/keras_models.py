"""A run's Keras model in MLflow: logged with its signature and an example, fetched as a file."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.tracking.client import Tracking
from pipelines.tracking.environment import requirements

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

MODEL = "model"
FILE = f"{MODEL}/data/model.keras"


def log_model(
    tracking: Tracking, run_id: str, model: "keras.Model", *, example: "NDArray[np.float32]"
) -> None:
    """Log a model to a run that is open; one that stands already is not logged again.

    Args:
        tracking: where to.
        run_id: whose model it is.
        model: takes (n, size, size, 3) float32, gives (n, classes) probabilities.
        example: such a batch, of one image.
    """
    import keras

    import mlflow

    if tracking.has_artifact(run_id, MODEL):
        return
    keras.utils.disable_interactive_logging()
    with tracking.reaching():
        mlflow.tensorflow.log_model(
            model,
            name=MODEL,
            signature=_signature(model),
            input_example=example,
            # Left to itself, MLflow loads the model in a new process to find them: 17 s.
            pip_requirements=requirements("tensorflow", "keras", "numpy", "mlflow"),
        )


def _signature(model: "keras.Model") -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    image = TensorSpec(np.dtype(np.float32), (-1, *model.input_shape[1:]), "image")
    answer = TensorSpec(np.dtype(np.float32), (-1, *model.output_shape[1:]), "probabilities")
    return ModelSignature(inputs=Schema([image]), outputs=Schema([answer]))


def fetch_model(tracking: Tracking, run_id: str, *, cache: Path) -> Path:
    """The run's ``.keras`` file, downloaded once.

    Raises:
        NotFound: the run has no model.
    """
    target = cache / "models" / run_id / "model.keras"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as folder:
            tracking.download(run_id, FILE, target=Path(folder)).replace(target)
    return target
