"""Bytes to pixels: the one definition that ingestion, Spark, training and serving share.

    decode(bytes) → uint8 (height, width, 3)        fit(array, ImageSpec) → uint8 (size, size, 3)

What cannot become a picture is a `pipelines.errors.BadImage` whose ``reason`` is one of
`REASONS`; no error of a library gets out.
"""

from pipelines.imaging.blank import is_blank
from pipelines.imaging.box import Box, Finder
from pipelines.imaging.decode import decode, inspect, refusal
from pipelines.imaging.fit import crop_box, fit, fit_mask
from pipelines.imaging.info import DEFAULT, Format, FrameRule, ImageInfo, Limits
from pipelines.imaging.kind import Kind, kind_of
from pipelines.imaging.perceptual import thumbnail
from pipelines.imaging.reasons import REASONS, Reason
from pipelines.imaging.sniff import sniff
from pipelines.imaging.traces import traces

__all__ = [
    "DEFAULT",
    "REASONS",
    "Box",
    "Finder",
    "Format",
    "FrameRule",
    "ImageInfo",
    "Kind",
    "Limits",
    "Reason",
    "crop_box",
    "decode",
    "fit",
    "fit_mask",
    "inspect",
    "is_blank",
    "kind_of",
    "refusal",
    "sniff",
    "thumbnail",
    "traces",
]
