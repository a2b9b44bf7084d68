"""The backbone's pooled features of every image, computed once and kept beside the shards.

A frozen backbone gives the same numbers in every epoch, so a head is trained on them in seconds.
Each shard has its file of features, written whole or not at all: a killed run goes on with the
next shard, and every candidate with the same backbone shares them.
"""

import fcntl
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.atomic import written_whole
from pipelines.data.input.shards import Shards, Split, read_batches
from pipelines.data.input.streams import Stream
from pipelines.models.head import feature_extractor
from pipelines.outputs import SplitName
from pipelines.progress import track
from pipelines.reached import reached
from pipelines.stage import code_version, fingerprint

logger = logging.getLogger(__name__)

BATCH = 32


def feature_stream(data: Shards, split: SplitName, model: keras.Model) -> Stream:
    """The pooled features of a split as (float32 (k,), label) rows; made if not there yet."""
    part = data.split(split)
    folder = data.folder / "features" / f"{model.name}-{_identity(model)}"
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        missing = [shard for shard in part.shards if not (folder / shard.name).is_file()]
        if missing:
            steps = sum(-(-shard.rows // BATCH) for shard in missing)
            batches = _extract(part, [shard.name for shard in missing], model, folder)
            for _ in track(batches, total=steps, what=f"Features of {split} (batches)"):
                pass
    width = int(feature_extractor(model).output.shape[-1])
    return Stream(
        files=tuple(folder / shard.name for shard in part.shards),
        rows=part.rows,
        column="features",
        dtype="float32",
        shape=(width,),
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let candidates that train side by side wait for each other; a killed one holds nothing."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _extract(split: Split, names: list[str], model: keras.Model, folder: Path) -> Iterator[int]:
    import tensorflow as tf

    extract = tf.function(
        feature_extractor(model), input_signature=[tf.TensorSpec((None, *model.input_shape[1:]))]
    )
    for name in names:
        with (
            written_whole(folder / name) as part,
            pq.ParquetWriter(part, _SCHEMA, compression="none") as writer,
        ):
            for batch in read_batches(split.folder / name, size=split.size, rows=BATCH):
                pooled = extract(batch.images.astype(np.float32)).numpy()
                values = [row.tobytes() for row in pooled]
                writer.write_batch(pa.record_batch([values, batch.labels], schema=_SCHEMA))
                yield len(values)


_SCHEMA = pa.schema([("features", pa.binary()), ("label", pa.int32())])


def _identity(model: keras.Model) -> str:
    """Stands for what is computed: its weights, its graph (the same weights may be padded or
    resized for in other ways), and the code that computes and stores them."""
    extractor = feature_extractor(model)
    digest = hashlib.sha256()
    for weights in extractor.get_weights():
        digest.update(weights.tobytes())
    ours = reached(__name__, within=(__name__, "pipelines.models", "pipelines.data.input.shards"))
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
