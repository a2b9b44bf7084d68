"""What else one could put in front of the same Keras model, as simply as its makers show it.

    python -m benchmarks.rivals predict|graph MODEL --port PORT

``predict`` is FastAPI with ``model.predict``; ``graph`` the same with the model as one TensorFlow
graph. Both decode a multipart upload as Medloop does. ``mlflow_command`` starts MLflow's own
server, which takes pixels as JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, File
from numpy.typing import NDArray

from pipelines.imaging import decode, fit
from pipelines.spec import ImageSpec

Ask = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def app_of(ask: Ask, image_spec: ImageSpec) -> FastAPI:
    """A service of one route."""
    app = FastAPI()

    @app.post("/predict")
    def predict(image: Annotated[bytes, File()]) -> dict[str, Any]:
        pixels = fit(decode(image), image_spec)[None].astype(np.float32)
        return {"probabilities": ask(pixels)[0].tolist()}

    return app


def by_predict(model: Any) -> Ask:
    """Keras's own way, which most examples show."""
    return lambda pixels: np.asarray(model.predict(pixels, verbose=0))


def by_graph(model: Any) -> Ask:
    """The model as one TensorFlow graph."""
    import tensorflow as tf

    shape = (None, *model.input_shape[1:])
    graph = tf.function(model, input_signature=[tf.TensorSpec(shape, tf.float32)])
    return lambda pixels: np.asarray(graph(pixels).numpy())


def save_for_mlflow(model_file: Path, folder: Path) -> None:
    """Write a Keras model as MLflow's ``models serve`` takes it."""
    import keras

    import mlflow

    model = keras.saving.load_model(model_file, compile=False)
    mlflow.keras.save_model(model, str(folder), pip_requirements=["keras"])


def mlflow_command(folder: Path) -> list[str]:
    """``mlflow models serve``, in this environment; the port is added."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder)]
    return [*command, "--env-manager", "local", "--host", "127.0.0.1"]


def mlflow_body(pixels: NDArray[np.uint8]) -> bytes:
    """One image as MLflow's server takes it."""
    return json.dumps({"inputs": pixels[None].astype(float).tolist()}).encode()


def main() -> None:
    """Serve one of them."""
    import keras
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=("predict", "graph"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    model = keras.saving.load_model(options.model, compile=False)
    ask = by_predict(model) if options.how == "predict" else by_graph(model)
    size = int(model.input_shape[1])
    ask(np.zeros((1, size, size, 3), np.float32))
    app = app_of(ask, ImageSpec(size=size))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="error")


if __name__ == "__main__":
    main()
