"""Random changes a scan may have anyway: pose, sharpness, tones, noise, packing, a hidden patch.

All of it is drawn from (seed, epoch, batch), so a resumed training sees what it would have seen.
Sharpness, tones, noise and compression are what tells one source of images from another: where
they vary, a network learns less from them.

Training waits for none of it as long as it takes little processor time. So images stay whole grey
levels, which OpenCV works on several times faster than TensorFlow on floats; what looks at one
pixel alone is one table of 256 levels; and a batch draws its noise once.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.training import changes

if TYPE_CHECKING:
    import tensorflow as tf

Strength = Literal["none", "light", "strong"]
Orientation = Literal["upright", "any"]


@dataclass(frozen=True)
class Ranges:
    """How far each change goes."""

    degrees: float
    zoom: float
    """Share of the size, either way."""
    shift: float
    """Share of the side, either way."""
    brightness: float
    """Grey levels of 255, either way."""
    contrast: float
    """Share of the contrast, either way."""
    noise: float = 0
    """Largest standard deviation, in grey levels of 255."""
    cutout: float = 0
    """Side of the hidden square, as a share of the image's."""
    blur: float = 0
    """Share of the picture at half its resolution that is mixed in, or taken off to sharpen."""
    gamma: float = 0
    """Natural logarithm of the exponent of the tones, either way."""
    tones: float = 0
    """Natural logarithm of how far a quarter of the tones is stretched, either way."""
    compression: tuple[int, int] | None = None
    """JPEG qualities, least and best."""
    turned: bool = False
    """Whether images have no upright pose, and are turned by any number of quarters first."""


RANGES: dict[Strength, Ranges] = {
    "light": Ranges(8, 0.08, 0.04, 12, 0.10),
    "strong": Ranges(
        *(20, 0.15, 0.08, 25, 0.25),
        noise=8,
        cutout=0.25,
        blur=0.9,
        gamma=0.35,
        tones=0.5,
        compression=(35, 100),
    ),
}


def augment(
    batches: "tf.data.Dataset",
    strength: Strength,
    *,
    seed: tuple[int, int],
    orientation: Orientation = "upright",
) -> "tf.data.Dataset":
    """Change each image of a data set of (float32 (n, s, s, 3), 0 to 255; label) batches.

    Args:
        batches: what to change; fractions of a grey level are lost.
        strength: how far; ``none`` leaves all as it is.
        seed: the run's and the epoch's.
        orientation: ``any`` turns images by quarters too.
    """
    import tensorflow as tf

    if strength == "none":
        return batches
    ranges = replace(RANGES[strength], turned=orientation == "any")

    def draw(number: Any, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return _changed(images, ranges, np.random.default_rng((*seed, 6, int(number))))

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def change(number: Any, batch: Any) -> Any:
        images, labels = batch
        levels = tf.numpy_function(draw, (number, tf.cast(images, tf.uint8)), tf.uint8)
        return tf.cast(tf.ensure_shape(levels, images.shape), tf.float32), labels

    return batches.enumerate().map(change, num_parallel_calls=2).prefetch(2)


def _changed(
    images: NDArray[np.uint8], ranges: Ranges, drawn: np.random.Generator
) -> NDArray[np.uint8]:
    """A batch (n, s, s, 3), each image in its own way."""
    side = images.shape[1]
    grain = drawn.standard_normal((2 * side, 2 * side), np.float32) if ranges.noise else None
    done = np.empty_like(images)
    for i, image in enumerate(images):
        done[i] = _one(image, ranges, drawn, grain)
    return done


def _one(
    image: NDArray[np.uint8],
    ranges: Ranges,
    drawn: np.random.Generator,
    grain: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:
    def draw(reach: float) -> float:
        return float(drawn.uniform(-reach, reach))

    pose = changes.Pose(
        degrees=draw(ranges.degrees) + (90 * drawn.integers(4) if ranges.turned else 0),
        scale=1 + draw(ranges.zoom),
        across=draw(ranges.shift),
        down=draw(ranges.shift),
        mirrored=bool(drawn.integers(2)),
    )
    image = changes.posed(image, pose)
    if ranges.blur:
        image = changes.sharpened(image, draw(ranges.blur))
    tones = changes.tone_curve(
        exponent=np.exp(draw(ranges.gamma)),
        stretches=np.exp(drawn.uniform(-ranges.tones, ranges.tones, changes.QUARTERS)),
        contrast=1 + draw(ranges.contrast),
        brightness=draw(ranges.brightness),
    )
    image = changes.toned(image, tones)
    if grain is not None:
        top, left = drawn.integers(len(image) + 1, size=2)
        deviation = abs(draw(ranges.noise))
        image = changes.grained(image, deviation * grain[top:, left:])
    if ranges.compression:
        image = changes.packed(
            image, quality=int(drawn.integers(*ranges.compression, endpoint=True))
        )
    if ranges.cutout:
        image = changes.hidden(image, (draw(1), draw(1)), share=ranges.cutout)
    return image
