"""The same model behind BentoML's own batcher, as simply as its makers show it.

    bentoml serve benchmarks.batchable_service:Batchable --arg bundle=FOLDER

Images come as base64: BentoML takes an array over HTTP only as JSON, 76,800 numbers for an image of
160 pixels. A batch is decoded on all processors, as in Medloop.
"""

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bentoml
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

MAX_BATCH = 16
MAX_LATENCY_MS = 30_000
"""Beyond it, requests are refused; here none shall be."""


class Arguments(BaseModel):
    """What is served (``bentoml serve --arg bundle=FOLDER``)."""

    bundle: Path


arguments = bentoml.use_arguments(Arguments)


@bentoml.service(
    name="batchable",
    workers=1,
    traffic={"timeout": 120},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Batchable:
    """One route; as lean as the service (`serving.service.LEAN`)."""

    def __init__(self) -> None:
        from pipelines.release.bundle import load_bundle
        from pipelines.release.runtime import Tuning, open_runtime

        bundle = load_bundle(arguments.bundle)
        self._image = bundle.manifest.image
        self._runtime = open_runtime(bundle, "openvino", Tuning())
        self._decoders = ThreadPoolExecutor(os.cpu_count())

    @bentoml.api(  # type: ignore[untyped-decorator]
        batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=MAX_LATENCY_MS
    )
    def predict(self, images: list[str]) -> list[list[float]]:
        """The probabilities of each image, given as base64 of its file."""
        pixels = np.stack(list(self._decoders.map(self._fitted, images)))
        return [each.tolist() for each in self._runtime.run(pixels)["probabilities"]]

    def _fitted(self, image: str) -> NDArray[np.float32]:
        from pipelines.imaging import decode, fit

        return fit(decode(base64.b64decode(image)), self._image).astype(np.float32)
