"""One row of predictions: what the model says of an image, or why the image cannot be read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.errors import BadImage
from pipelines.evaluation.abstention import Reason
from pipelines.evaluation.overlay import OPACITY
from pipelines.monitoring.served import PROBABILITY
from pipelines.release.predictor import Picture, Predictor, Reading

IMAGES_AT_ONCE = 8
"""Given to the model together: a fifth faster than one by one, and more gains nothing."""
PIXEL_BYTES_AT_ONCE = 64 << 20
"""Of decoded pictures that wait for the model; a larger one goes alone."""

Row = dict[str, Any]
REASONS = pa.list_(pa.struct([("code", pa.string()), ("message", pa.string())]))


@dataclass(frozen=True)
class Opened:
    """An image on its way to the model."""

    known: Row
    """What is known of it already: columns of its row."""
    content: Picture | BadImage
    """The image, or why it cannot be read."""


def columns(classes: Iterable[str]) -> pa.Schema:
    """The columns that say what a model with these classes makes of an image.

    ``reason`` and ``message`` say why an image cannot be read, and are null where it could be;
    then, and only then, the rest are null. ``overlay`` is null unless overlays are asked for.
    """
    return pa.schema(
        [
            ("predicted", pa.string()),
            ("confidence", pa.float64()),
            ("certainty", pa.float64()),
            *((PROBABILITY + name, pa.float64()) for name in classes),
            ("abstained", pa.bool_()),
            ("abstained_because", REASONS),
            ("review", pa.bool_()),
            ("review_because", REASONS),
            ("reason", pa.string()),
            ("message", pa.string()),
            ("overlay", pa.binary()),
        ]
    )


def answer(predictor: Predictor, images: Iterable[Opened], *, overlays: bool) -> Iterator[Row]:
    """A row for each image, in the order they come.

    Args:
        predictor: the model.
        images: opened as they are asked for, so that few are in memory at a time.
        overlays: whether to draw where the model looked, as the service does.
    """
    for some in _few(images):
        readings = iter(_judge(predictor, [image.content for image in some]))
        for image in some:
            if isinstance(image.content, BadImage):
                said = {"reason": image.content.reason, "message": str(image.content)}
            else:
                said = _said(predictor, next(readings), overlays=overlays)
            yield image.known | said


def _few(images: Iterable[Opened]) -> Iterator[list[Opened]]:
    some: list[Opened] = []
    size = 0
    for image in images:
        some.append(image)
        size += image.content.pixels.nbytes if isinstance(image.content, Picture) else 0
        if len(some) == IMAGES_AT_ONCE or size >= PIXEL_BYTES_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _judge(predictor: Predictor, contents: Sequence[Picture | BadImage]) -> list[Reading]:
    pictures = [content for content in contents if isinstance(content, Picture)]
    return predictor.judge(pictures) if pictures else []


def _said(predictor: Predictor, reading: Reading, *, overlays: bool) -> Row:
    shares = reading.shares
    review = predictor.review(reading)
    probabilities = zip(predictor.class_names, shares, strict=True)
    return {
        "predicted": predictor.class_names[reading.best],
        "confidence": shares[reading.best],
        "certainty": min(1.0, reading.certainty),
        **{PROBABILITY + name: share for name, share in probabilities},
        "abstained": bool(reading.doubts),
        "abstained_because": _told(reading.doubts),
        "review": bool(review),
        "review_because": _told(review),
        "overlay": predictor.overlay(reading, reading.best, opacity=OPACITY) if overlays else None,
    }


def _told(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code, "message": reason.message} for reason in reasons]
