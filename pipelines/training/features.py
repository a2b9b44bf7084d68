"""The backbone's pooled features of every image, computed once and kept beside the pixels.

A frozen backbone gives the same numbers in every epoch, so a head is trained on them in seconds.
Each part of prepared images has its array of features, written whole or not at all: a killed run
goes on with the next part, a delivery costs what it brings, and every candidate with the same
backbone shares them.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.alone import alone
from pipelines.atomic import written_whole
from pipelines.data.input.batches import Stream
from pipelines.data.input.training_set import TrainingSet
from pipelines.models.head import feature_extractor
from pipelines.outputs import SplitName
from pipelines.progress import track
from pipelines.reached import reached
from pipelines.stage import code_version, fingerprint

logger = logging.getLogger(__name__)

BATCH = 32


def feature_stream(data: TrainingSet, split: SplitName, model: keras.Model) -> Stream:
    """The pooled features of a split as (float32 (k,), label) rows; made if not there yet."""
    images = data.split(split)
    folder = data.folder / "features" / f"{model.name}-{_identity(model)}"
    with alone(folder):  # candidates that train side by side wait for each other
        missing = [file for file in images.arrays.files if not (folder / file.name).is_file()]
        if missing:
            steps = sum(-(-len(np.load(file, mmap_mode="r")) // BATCH) for file in missing)
            batches = _extract(missing, model, folder)
            for _ in track(batches, total=steps, what=f"Features of {split} (batches)"):
                pass
    return Stream(replace(images.arrays, folder=folder), images.labels())


def _extract(files: list[Path], model: keras.Model, folder: Path) -> Iterator[None]:
    import tensorflow as tf

    extractor = feature_extractor(model)
    shape = (BATCH, *model.input_shape[1:])
    extract = tf.function(extractor, input_signature=[tf.TensorSpec(shape)])
    width = int(extractor.output.shape[-1])
    for file in files:
        images = np.load(file, mmap_mode="r")
        with written_whole(folder / file.name) as part:
            values = np.lib.format.open_memmap(
                part, mode="w+", dtype=np.float32, shape=(len(images), width)
            )
            for start in range(0, len(images), BATCH):
                found = images[start : start + BATCH]
                # Always as many: kernels for other sizes may round in other ways.
                batch = np.zeros(shape, np.float32)
                batch[: len(found)] = found
                values[start : start + len(found)] = extract(batch).numpy()[: len(found)]
                yield
            values.flush()


def _identity(model: keras.Model) -> str:
    """Stands for what is computed: its weights, its graph (the same weights may be padded or
    resized for in other ways), and the code that computes and stores them."""
    extractor = feature_extractor(model)
    digest = hashlib.sha256()
    for weights in extractor.get_weights():
        digest.update(weights.tobytes())
    ours = reached(__name__, within=(__name__, "pipelines.models", "pipelines.data.input"))
    return fingerprint(code_version(*ours), _graph(extractor), digest.hexdigest())


def _graph(model: keras.Model) -> str:
    """The graph as JSON; layers are called by their place, as Keras numbers those without a name
    through the whole process."""
    config = model.get_config()
    places = {layer["name"]: f"layer {n}" for n, layer in enumerate(config["layers"])}

    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: placed(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [placed(one) for one in value]
        return places.get(value, value) if isinstance(value, str) else value

    return json.dumps(placed({**config, "name": None}), sort_keys=True, default=str)
