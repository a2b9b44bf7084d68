"""DICOM files with several frames, declared or not, and the rule that names one."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from pipelines.errors import BadImage
from pipelines.imaging import FrameRule, Limits, decode
from tests.pipelines.imaging.both_ways import refused_both_ways, seen_both_ways
from tests.pipelines.imaging.pictures import colours, file_of, greys
from tests.pipelines.imaging.scans import header_of, rle_scan, scan_of, written

GREYS, COLOURS = greys(), colours()


def frames(count: int | None, kind: str) -> bytes:
    """A file with three frames, each its number darker, that declares ``count``."""
    shown = [np.maximum(GREYS, 60) - 20 * number for number in range(3)]
    elements = {} if count is None else {"NumberOfFrames": str(count)}
    if kind == "native":
        return scan_of(np.concatenate(shown), Rows=48, **elements)
    if kind == "colour":
        return scan_of(np.concatenate([COLOURS] * 3), Rows=48, **elements)
    if kind == "rle":
        single = [pydicom.dcmread(io.BytesIO(rle_scan(frame))).PixelData for frame in shown]
        streams = [get_frame(data, 0, number_of_frames=1) for data in single]
        syntax = pydicom.uid.RLELossless
    elif kind == "jpeg":
        streams = [file_of(frame, "JPEG", quality=97) for frame in shown]
        syntax = JPEGBaseline8Bit
    else:
        streams = [file_of(frame, "JPEG2000", no_jp2=True) for frame in shown]
        syntax = JPEG2000Lossless
    header = header_of(GREYS, **elements)
    header.PixelData = encapsulate(streams)
    header["PixelData"].is_undefined_length = True
    return written(header, syntax)


@pytest.mark.parametrize("kind", ["native", "colour", "rle", "jpeg", "jpeg 2000"])
def test_frames_are_counted_before_they_are_decoded_and_the_rule_says_which_counts(
    kind: str,
) -> None:
    for count in (None, 1, 3):
        refused_both_ways(frames(count, kind), reason="multi_frame", named="3 frames")
    if kind == "colour":
        return
    first, middle = (
        seen_both_ways(frames(3, kind), Limits(frames=rule))[..., 0] for rule in ("first", "middle")
    )
    assert np.abs(first.astype(int) - np.maximum(GREYS, 60)).mean() < 1
    assert np.abs(middle.astype(int) - np.maximum(GREYS, 60) + 20).mean() < 1


def test_a_key_frame_is_the_one_that_the_file_names() -> None:
    keys: list[tuple[int, FrameRule]] = [(1, "first"), (2, "middle")]
    for key, same in keys:
        file = scan_of(
            np.concatenate([GREYS, GREYS // 2, GREYS // 3]),
            Rows=48,
            NumberOfFrames="3",
            RepresentativeFrameNumber=key,
        )
        np.testing.assert_array_equal(
            seen_both_ways(file, Limits(frames="key")), seen_both_ways(file, Limits(frames=same))
        )
    with pytest.raises(BadImage, match="RepresentativeFrameNumber"):
        decode(frames(3, "native"), limits=Limits(frames="key"))


def test_a_frame_in_several_fragments_is_one_frame() -> None:
    stream = file_of(GREYS, "JPEG2000", no_jp2=True)
    header = header_of(GREYS)
    header.PixelData = encapsulate([stream], fragments_per_frame=4)
    header["PixelData"].is_undefined_length = True
    image = seen_both_ways(written(header, JPEG2000Lossless))
    np.testing.assert_array_equal(image[..., 0], GREYS)
