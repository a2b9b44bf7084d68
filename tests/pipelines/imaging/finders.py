"""Networks that find bright lesions, drawn straight as OpenVINO graphs: no training."""

from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as op

from pipelines.imaging.lesion import IR, SAID, FinderSpec
from pipelines.spec import ImageSpec

SHADE = 200


def write_finder(folder: Path, image: ImageSpec, *, shade: int = SHADE) -> Path:
    """A network that takes for lesion what is brighter than a shade; half a tenth around it."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = op.parameter([-1, image.size, image.size, 3], np.float32, name="image")
    grey = op.reduce_mean(seen, op.constant([3]), keep_dims=True)
    said = op.sigmoid(op.subtract(grey, op.constant(np.float32(shade))))
    openvino.save_model(openvino.Model([said], [seen]), folder / IR, compress_to_fp16=False)
    spec = FinderSpec(image=image.without_lesion_crop, margin=0.05)
    (folder / SAID).write_text(spec.model_dump_json(), "utf-8")
    return folder


def with_lesion(
    height: int = 90, width: int = 120, *, top: int = 20, left: int = 70, side: int = 24
) -> NDArray[np.uint8]:
    """A dim, uneven picture, uint8 (height, width, 3), with a bright square."""
    noise = np.random.default_rng(height + top)
    picture = noise.integers(40, 120, (height, width, 3)).astype(np.uint8)
    picture[top : top + side, left : left + side] = 250
    return picture
