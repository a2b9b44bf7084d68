"""Random changes a scan may have anyway: pose, sharpness, tones, noise, packing, a hidden patch.

All of it is drawn from (seed, epoch, batch), so a resumed training sees what it would have seen.
Sharpness, tones, noise and compression are what tells one source of images from another: where
they vary, a network learns less from them.

Training waits for none of it as long as it takes little processor time. So images stay whole grey
levels, which OpenCV works on several times faster than TensorFlow on floats; what looks at one
pixel alone is one table of 256 levels; grey pictures are worked on in one channel; and a batch
draws its noise once.
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

    return batches.enumerate().map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _changed(
    images: NDArray[np.uint8], ranges: Ranges, drawn: np.random.Generator
) -> NDArray[np.uint8]:
    """A batch (n, s, s, 3), each image in its own way."""
    count, side = images.shape[:2]

    def draw(reach: float, *shape: int) -> NDArray[np.float64]:
        return drawn.uniform(-reach, reach, (count, *shape))

    poses = changes.poses(
        degrees=draw(ranges.degrees) + 90 * drawn.integers(4 if ranges.turned else 1, size=count),
        scale=1 + draw(ranges.zoom),
        shift=draw(ranges.shift, 2),
        mirror=drawn.choice([-1, 1], count),
    )
    shares = draw(ranges.blur)
    curves = changes.tone_curves(
        exponent=np.exp(draw(ranges.gamma)),
        stretch=np.exp(draw(ranges.tones, changes.QUARTERS)),
        contrast=1 + draw(ranges.contrast),
        brightness=draw(ranges.brightness),
    )
    field = drawn.standard_normal((2 * side, 2 * side), np.float32) if ranges.noise else None
    deviations = draw(ranges.noise)
    corners = drawn.integers(0, side + 1, (count, 2))
    least, best = ranges.compression or (100, 100)
    qualities = drawn.integers(least, best, (count,), endpoint=True)
    places = draw(1, 2)

    done = np.empty_like(images)
    for i in range(count):
        image = changes.posed(changes.lean(images[i]), poses[i])
        if ranges.blur:
            image = changes.sharpened(image, shares[i])
        image = changes.toned(image, curves[i])
        if field is not None:
            image = changes.grained(image, field, corners[i], deviation=deviations[i])
        if ranges.compression:
            image = changes.packed(image, quality=int(qualities[i]))
        if ranges.cutout:
            image = changes.hidden(image, places[i], share=ranges.cutout)
        done[i] = changes.whole(image)
    return done
