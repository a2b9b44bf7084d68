"""A DICOM file read as the service reads it and as ingest does: de-identified, then decoded."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.data.land.deidentify import deidentify
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.errors import BadImage
from pipelines.imaging import DEFAULT, Limits, decode

NAMES = Pseudonyms(b"k" * 32)


def seen_both_ways(file: bytes, limits: Limits = DEFAULT) -> NDArray[np.uint8]:
    """The image, which is the same before and after de-identification."""
    image = decode(file, limits=limits)
    kept = deidentify(file, NAMES, frames=limits.frames)
    np.testing.assert_array_equal(decode(kept), image)
    return image


def refused_both_ways(file: bytes, *, reason: str, named: str = " ") -> None:
    """Refused for the same reason by service and ingest; the message names the element."""
    with pytest.raises(BadImage, match=named) as by_service:
        decode(file)
    with pytest.raises(BadImage) as by_ingest:
        decode(deidentify(file, NAMES))
    assert by_service.value.reason == by_ingest.value.reason == reason
    for error in (by_service, by_ingest):
        assert not any(word in str(error.value) for word in ("Error", "Exception", "Doe"))
