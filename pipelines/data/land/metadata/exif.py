"""The smallest EXIF block: the orientation, and nothing else."""

import struct


def only_orientation(orientation: int) -> bytes:
    """A TIFF structure with the one tag, as EXIF blocks hold it."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
