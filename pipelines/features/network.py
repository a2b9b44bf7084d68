"""A pretrained backbone as OpenVINO runs it: from pixels to pooled features.

It is asked for `BATCH` images at a time, always. Kernels for other sizes may round in other ways,
so the features of an image would depend on how many arrived with it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.atomic import written_whole
from pipelines.data.input.training_set import TrainingSet
from pipelines.locks import alone
from pipelines.models.identity import weights_identity
from pipelines.progress import track
from pipelines.spec import CandidateSpec
from pipelines.stage import fingerprint

if TYPE_CHECKING:
    import keras

IR = "backbone.xml"
BATCH = 32

Describe = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Backbone(NamedTuple):
    """Which network describes the images."""

    model: str = "efficientnet_lite0"
    """Family in the model zoo."""
    weights: str = "imagenet"
    """``imagenet``, or a path."""
    input_size: int | None = None
    """Side to which images are resized first; the family's own if ``None``."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further arguments of the family."""

    @classmethod
    def of(cls, candidate: CandidateSpec) -> "Backbone":
        """The backbone that a candidate begins with."""
        options = tuple(sorted(candidate.options.items()))
        return cls(candidate.model, str(candidate.weights), candidate.input_size, options)

    def build(self, *, size: int, classes: int = 2) -> "keras.Model":
        """A model of the zoo with this backbone and a new head.

        Args:
            size: side of the square images in pixels.
            classes: number of outputs.

        Raises:
            SpecError: the zoo has no such model.
            WeightsError: its weights cannot be had.
        """
        from pipelines.models.registry import build

        return build(
            self.model,
            size=size,
            classes=classes,
            weights=self.weights,
            input_size=self.input_size,
            options=dict(self.options),
        )


def export(backbone: Backbone, folder: Path, *, size: int) -> None:
    """Write a backbone as OpenVINO IR, float32: `BATCH` images in, pooled feature maps out.

    Raises:
        SpecError: the zoo has no such model.
        WeightsError: its weights cannot be had.
    """
    import keras
    import openvino

    from pipelines.models.head import feature_extractor

    with tempfile.TemporaryDirectory(prefix="medloop-") as saved:
        pooled = feature_extractor(backbone.build(size=size))
        keras.Model(pooled.inputs, pooled.outputs).export(
            saved, format="tf_saved_model", verbose=False
        )
        model = openvino.Core().read_model(saved)
        model.reshape([BATCH, size, size, 3])
        openvino.save_model(model, folder / IR, compress_to_fp16=False)


def load(folder: Path) -> Describe:
    """Compile an exported backbone for one processor thread.

    Returns:
        uint8 (n, size, size, 3) → float32 (n, k), the mean of each of the k feature maps.
    """
    import openvino

    options = {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(folder / IR, "CPU", options)

    def describe(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = np.zeros((BATCH, *images.shape[1:]), np.float32)
        found = []
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            batch[: len(some)] = some
            found.append(model(batch)[0][: len(some)].copy())
        return np.concatenate(found)

    return describe


def describe_here(data: TrainingSet, backbone: Backbone) -> Path:
    """Describe the parts of a training set that was opened from a folder, without a store.

    Returns:
        The folder of arrays with the features of each part, beside its pixels.
    """
    known = fingerprint(backbone._replace(weights=str(weights_identity(backbone.weights))))
    folder = data.folder / "features" / known
    files = [data.folder / f"{part}.npy" for part in data.table["part"].unique().to_pylist()]
    with alone(folder), tempfile.TemporaryDirectory(prefix="medloop-") as exported:
        missing = [file for file in files if not (folder / file.name).is_file()]
        if missing:
            export(backbone, Path(exported), size=data.size)
            describe = load(Path(exported))
        for file in track(missing, total=len(missing), what="Computing features (parts)"):
            with written_whole(folder / file.name) as part:
                np.save(part, describe(np.load(file, mmap_mode="r")))
    return folder
