"""A data set's limits in the units of the decoder."""

from pipelines.imaging.info import Limits
from pipelines.spec import LimitsSpec

MEGABYTE = 1 << 20


def limits_of(spec: LimitsSpec) -> Limits:
    """The spec's limits in bytes and pixels."""
    return Limits(
        max_bytes=int(spec.max_megabytes * MEGABYTE),
        max_pixels=int(spec.max_megapixels * 1e6),
        min_side=spec.min_side,
        frames=spec.frames,
    )
