"""Proof that the libraries installed here decode images as they did when a bundle was built.

A bundle records the versions of its decoding libraries and the pixels of its canary images. With
the same versions nothing is checked. With others, the canary images are decoded again: one
different pixel refuses the bundle, and afterwards only encodings that were proven are answered.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace

from pipelines.decoding import decoding_versions
from pipelines.errors import BadImage, BundleError
from pipelines.imaging import crop_box, decode, fit, inspect
from pipelines.imaging.box import Finder
from pipelines.imaging.info import Limits
from pipelines.imaging.reasons import refuse
from pipelines.release.bundle import Bundle, Decoding
from pipelines.spec import ImageSpec, LimitsSpec

logger = logging.getLogger(__name__)

MANY = Limits(max_bytes=2**40, max_pixels=178_000_000, min_side=1)
"""For files whose limits were checked before."""
UNPROVEN = 2
"""Newest bundle format that records no decoding libraries."""


def within(limits: LimitsSpec) -> Limits:
    """To decode a canary image: its size was checked at landing, its frame is the data set's."""
    return replace(MANY, frames=limits.frames)


def record(
    files: Mapping[str, bytes], image: ImageSpec, limits: LimitsSpec, find: Finder | None
) -> Decoding:
    """What a bundle records of its canary images.

    Args:
        files: path in the bundle → content.
        image: how images are fitted to the model.
        limits: which frame of a file with several is its image.
        find: finds the lesion to crop to, where images are cropped to it.
    """
    return Decoding(
        versions=decoding_versions(finder=find is not None),
        pixels={name: _digest(data, image, limits, find) for name, data in files.items()},
        encodings=tuple(sorted({encoding(data) for data in files.values()})),
    )


def require_same_pixels(bundle: Bundle) -> frozenset[str] | None:
    """Refuse a bundle whose canary images have other pixels with the libraries installed here.

    Returns:
        The encodings that were proven; ``None`` where all may be answered, because the versions
        are those of the bundle, or a bundle of an older format recorded none.

    Raises:
        BundleError: a pixel differs, with each library, both versions and what to do; or a bundle
            of format 3 records no versions.
    """
    known = bundle.manifest.decoding
    if known is None:
        if bundle.manifest.format_version > UNPROVEN:
            raise BundleError(
                f"Bundle {bundle.folder}: bundle.json has no field decoding, which format "
                f"{bundle.manifest.format_version} needs. Fetch the bundle again, or retrain the "
                f"model (medloop retrain {bundle.manifest.dataset})."
            )
        logger.info("Bundle %s records no decoding libraries (format 1 or 2)", bundle.folder)
        return None
    here = decoding_versions(finder=bundle.finder is not None)
    changed = [
        f"{name} {known.versions.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in sorted(known.versions.keys() | here.keys())
        if known.versions.get(name) != here.get(name)
    ]
    if not changed:
        return None
    said = "; ".join(changed)
    for name, expected in known.pixels.items():
        try:
            data = (bundle.folder / name).read_bytes()
            found = _digest(data, bundle.manifest.image, bundle.manifest.limits, bundle.finder)
        except (BadImage, OSError) as error:
            raise _other(bundle, said, f"{name} cannot be decoded ({error})") from error
        if found != expected:
            raise _other(bundle, said, f"the pixels of {name} differ")
    logger.warning(
        "Bundle %s was built with other decoding libraries (%s); all %d canary images have the "
        "same pixels. Only %s are answered until a retraining",
        *(bundle.folder, said, len(known.pixels), ", ".join(known.encodings)),
    )
    return frozenset(known.encodings)


def require_proven(data: bytes, proven: frozenset[str]) -> None:
    """Refuse an image of an encoding that no canary image has.

    Raises:
        BadImage: ``unsupported``.
    """
    if (found := encoding(data)) not in proven:
        raise refuse(
            "unsupported",
            f"{found} is not answered: the decoding libraries were upgraded after this model was "
            f"built, and only {', '.join(sorted(proven))} are proven to give the same pixels. Send "
            "one of these, or retrain the model (medloop retrain).",
        )


def encoding(data: bytes) -> str:
    """What decides which decoder reads an image: format and mode, or DICOM transfer syntax."""
    info = inspect(data, limits=MANY)
    if info.format != "DICOM":
        return f"{info.format} {info.mode}"
    from pipelines.imaging import dicom_file

    header = dicom_file.read(data, (), with_pixels=False)
    return f"DICOM {info.mode} {dicom_file.syntax_of(header) or 'without transfer syntax'}"


def _digest(data: bytes, image: ImageSpec, limits: LimitsSpec, find: Finder | None) -> str:
    pixels = decode(data, limits=within(limits))
    return hashlib.sha256(fit(pixels, image, crop_box(pixels, image, find)).tobytes()).hexdigest()


def _other(bundle: Bundle, versions: str, what: str) -> BundleError:
    return BundleError(
        f"Bundle {bundle.folder}: {what} with the decoding libraries installed here ({versions}). "
        "The model would see other images than it learned from. Retrain it (medloop retrain "
        f"{bundle.manifest.dataset}), or install the release that built the bundle."
    )
