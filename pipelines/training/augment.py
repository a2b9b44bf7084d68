"""Random changes a scan may have anyway: pose, sharpness, tones, noise, packing, a hidden patch.

All of it is drawn from (seed, epoch, batch), so a resumed training sees what it would have seen.
Sharpness, tones, noise and compression are what tells one source of images from another: where
they vary, a network learns less from them.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tensorflow as tf

Strength = Literal["none", "light", "strong"]
Orientation = Literal["upright", "any"]


QUARTERS = 4


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
        batches: what to change.
        strength: how far; ``none`` leaves all as it is.
        seed: the run's and the epoch's.
        orientation: ``any`` turns images by quarters too.
    """
    import tensorflow as tf

    if strength == "none":
        return batches
    ranges = replace(RANGES[strength], turned=orientation == "any")
    start = seed[0] * 100_003 + seed[1] * 1_009

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def change(number: Any, batch: Any) -> Any:
        images, labels = batch
        draw = _Draw(tf.shape(images)[0], start, tf.cast(number, tf.int32))
        images = _pose(images, draw, ranges)
        if ranges.blur:
            images = _sharpness(images, draw, ranges.blur)
        if ranges.gamma:
            images = _gamma(images, draw, ranges.gamma)
        if ranges.tones:
            images = _tones(images, draw, ranges.tones)
        images = _light(images, draw, ranges)
        if ranges.compression:
            images = _compress(images, draw, ranges.compression)
        if ranges.cutout:
            images = _cut_out(images, draw, ranges.cutout)
        return tf.clip_by_value(images, 0, 255), labels

    return batches.enumerate().map(change, num_parallel_calls=2).prefetch(2)


class _Draw:
    """Uniform numbers of one batch, each named draw apart from the others."""

    def __init__(self, count: Any, start: int, number: Any) -> None:
        self._count, self._start, self._number = count, start, number
        self._drawn = 0

    def uniform(self, reach: float) -> Any:
        """(n,) between -reach and +reach."""
        import tensorflow as tf

        return tf.random.stateless_uniform((self._count,), self.seed(), -reach, reach)

    def seed(self) -> Any:
        """The seed of the next draw."""
        self._drawn += 1
        return [self._start + self._drawn, self._number]


def _pose(images: Any, draw: _Draw, ranges: Ranges) -> Any:
    """Mirror left and right, rotate, zoom and shift, in one resampling."""
    import tensorflow as tf

    side = tf.cast(tf.shape(images)[1], tf.float32)
    angle = draw.uniform(ranges.degrees * math.pi / 180)
    if ranges.turned:
        angle += tf.floor(draw.uniform(2.0)) * math.pi / 2  # -2, -1, 0 or 1 quarters
    scale = 1 + draw.uniform(ranges.zoom)
    mirror = tf.sign(draw.uniform(1.0) + 1e-9)
    cos, sin, middle = tf.cos(angle) / scale, tf.sin(angle) / scale, (side - 1) / 2
    across, down = draw.uniform(ranges.shift) * side, draw.uniform(ranges.shift) * side
    a0, a1, b0, b1 = cos * mirror, -sin, sin * mirror, cos
    zero = tf.zeros_like(a0)
    rows = [
        *(a0, a1, middle - (a0 + a1) * middle + across),
        *(b0, b1, middle - (b0 + b1) * middle + down),
        *(zero, zero),
    ]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, axis=1),
        output_shape=tf.shape(images)[1:3],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def _sharpness(images: Any, draw: _Draw, reach: float) -> Any:
    """Mix in the picture at half its resolution, or take it off to sharpen (unsharp masking)."""
    import tensorflow as tf

    share = draw.uniform(reach)[:, None, None, None]
    coarse = tf.image.resize(tf.nn.avg_pool2d(images, 2, 2, "SAME"), tf.shape(images)[1:3])
    return tf.clip_by_value(images + share * (coarse - images), 0, 255)


def _gamma(images: Any, draw: _Draw, reach: float) -> Any:
    import tensorflow as tf

    exponent = tf.exp(draw.uniform(reach))[:, None, None, None]
    # Several times faster than tf.pow.
    return 255 * tf.exp(exponent * tf.math.log(tf.maximum(images / 255, 1e-6)))


def _tones(images: Any, draw: _Draw, reach: float) -> Any:
    """Bend the histogram: each quarter of the tones is stretched or pressed; order stays."""
    import tensorflow as tf

    steps = tf.exp(tf.stack([draw.uniform(reach) for _ in range(QUARTERS)]))
    slopes = QUARTERS * steps / tf.reduce_sum(steps, axis=0)
    width = 255 / QUARTERS
    parts = [
        slopes[i][:, None, None, None] * tf.clip_by_value(images - i * width, 0, width)
        for i in range(QUARTERS)
    ]
    return tf.add_n(parts)


def _light(images: Any, draw: _Draw, ranges: Ranges) -> Any:
    import tensorflow as tf

    contrast = (1 + draw.uniform(ranges.contrast))[:, None, None, None]
    brightness = draw.uniform(ranges.brightness)[:, None, None, None]
    changed = images * contrast + brightness
    if ranges.noise:
        deviation = tf.abs(draw.uniform(ranges.noise))[:, None, None, None]
        grain = tf.random.stateless_normal(tf.shape(images[..., :1]), draw.seed())
        changed += deviation * grain
    return changed


def _compress(images: Any, draw: _Draw, qualities: tuple[int, int]) -> Any:
    """Pack as JPEG and unpack."""
    import tensorflow as tf

    least, best = qualities
    drawn = (least + best) / 2 + draw.uniform((best - least) / 2)
    whole = tf.cast(tf.clip_by_value(images, 0, 255), tf.uint8)
    packed = tf.map_fn(
        lambda pair: tf.image.adjust_jpeg_quality(pair[0], pair[1]),
        (whole, tf.cast(tf.round(drawn), tf.int32)),
        fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
    )
    return tf.cast(tf.ensure_shape(packed, images.shape), tf.float32)


def _cut_out(images: Any, draw: _Draw, share: float) -> Any:
    """Hide a square at a random place (DeVries & Taylor 2017, arXiv 1708.04552)."""
    import tensorflow as tf

    side = tf.shape(images)[1]
    places = tf.linspace(-1.0, 1.0, side)
    across = tf.abs(places[None, :] - draw.uniform(1.0)[:, None]) > share
    down = tf.abs(places[None, :] - draw.uniform(1.0)[:, None]) > share
    seen = tf.logical_or(down[:, :, None], across[:, None, :])
    return images * tf.cast(seen, images.dtype)[..., None]
