"""Where images come from, what they are called, and how they are divided."""

import re
from pathlib import PurePosixPath
from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipelines.spec.section import Name, Section, Share, Slug

UNLABELLED = "unlabelled"
"""Folder at the top of every landing folder for images that nobody has labelled yet: they are
neither landed nor quarantined."""
SplitFolder = Literal["train", "validation", "test"]


class SourceSpec(Section):
    """Where the images come from; kept in every snapshot's manifest."""

    origin: str
    """Who made the collection, and how it is cited."""
    licence: str
    consent: str
    """On what ground these images may be used (consent, waiver, public release)."""
    url: str | None = None


class TableSpec(Section):
    """A CSV file of labels beside the images."""

    file: Name | tuple[Name, ...]
    """The CSV, relative to the landing folder; of several names, the first that is there."""
    image: Name | tuple[Name, ...]
    """Path of a row's image, with columns in braces: ``images/{image_id}.jpg``. Of several paths,
    the first that is there."""
    label: Name
    """Column that holds the label."""
    group: Name | None = None
    """Column that holds the patient or lesion."""
    metadata: tuple[Name, ...] = ()
    """Columns kept beside each image (never identifiers)."""

    @property
    def files(self) -> tuple[str, ...]:
        """The names that the CSV may have."""
        return _several(self.file)

    @property
    def images(self) -> tuple[str, ...]:
        """The paths that a row's image may have."""
        return _several(self.image)


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


class LandingSpec(Section):
    """Where images land, how they are laid out there, and when they are all there."""

    path: str | None = None
    """The folder, local, ``hdfs:///PATH`` or ``s3://BUCKET/PATH``;
    ``$MEDLOOP_HOME/landing/<dataset>`` if unset."""
    quiet_seconds: float = Field(default=60, gt=0)
    """How long nothing in it may have changed before new files are taken for complete."""
    marker: str | None = None
    """Name of a file at its top, such as ``_SUCCESS``, that whoever hands images over writes
    last: its coming says at once that they are complete, and nothing else does."""
    splits: dict[SplitFolder, Name | tuple[Name, ...]] = Field(default={})
    """Folders of a split that comes with the collection; class folders stand inside them. Without
    ``validation``, validation is drawn from what is there to train on; without ``test``, so is
    the test set. Of several folders of one split (``train: [train, val]``) one must be there."""
    table: TableSpec | None = None
    """Labels from a CSV file; class folders are read if unset."""
    group_pattern: Name | None = None
    """Regular expression with a group ``(?P<group>…)``, searched in the file name."""
    label_pattern: Name | None = None
    """The same with ``(?P<label>…)``: the label of files whose name tells it, instead of their
    class folder's name."""
    names: Literal["keep", "pseudonyms"] = "keep"
    """Whether the file names of plain images are kept in tables, logs and reports. They may hold a
    patient's name or number: ``pseudonyms`` replaces them, and the folders between a file and its
    class folder, as it is always done for DICOM. `medloop locate` finds the file."""
    metadata_pattern: Name | None = None
    """The same with a group for each field that is kept beside an image whose name tells it
    (never an identifier); figures are divided by them."""
    ignore: tuple[Name, ...] = ()
    """Glob patterns, relative to the landing folder, of files that are not images to ingest."""
    masks: Name | tuple[Name, ...] | None = None
    """Path of the mask of an image's lesion (white on the lesion), relative to the landing folder,
    with ``{folder}`` and ``{stem}`` of the image: ``masks/{stem}_segmentation.png``. Of several
    paths, the first that is there. Images may come without one. No mask is landed as an image."""

    @property
    def split_of_folder(self) -> dict[str, SplitFolder]:
        """Folder → the split that stands in it."""
        return {
            folder: split for split, folders in self.splits.items() for folder in _several(folders)
        }

    @property
    def left_out(self) -> tuple[str, ...]:
        """Glob patterns of all files that are not images to ingest."""
        masks = (re.sub(r"{\w+}", "*", pattern) for pattern in _several(self.masks or ()))
        return tuple(filter(None, (*self.ignore, self.marker, *masks, f"{UNLABELLED}/*")))

    def masks_of(self, image: str) -> tuple[str, ...]:
        """The paths that the mask of the image at a path may have; none if no masks come."""
        path = PurePosixPath(image)
        folder = "" if path.parent == PurePosixPath(".") else str(path.parent)
        return tuple(
            str(PurePosixPath(pattern.format(folder=folder, stem=path.stem)))
            for pattern in _several(self.masks or ())
        )

    @field_validator("masks")
    @classmethod
    def _tell_masks_from_images(
        cls, patterns: str | tuple[str, ...] | None
    ) -> str | tuple[str, ...] | None:
        for pattern in _several(patterns or ()):
            _require_mask_pattern(pattern)
        return patterns

    @field_validator("marker")
    @classmethod
    def _is_a_name(cls, marker: str | None) -> str | None:
        if marker is not None and not re.fullmatch(r"[^/*?\[\]]+", marker):
            raise ValueError("must be a file's name, without folder and wildcards")
        return marker

    @field_validator("group_pattern", "label_pattern", "metadata_pattern")
    @classmethod
    def _names_what_it_finds(cls, pattern: str | None, field: ValidationInfo) -> str | None:
        if pattern is None:
            return None
        try:
            groups = set(re.compile(pattern).groupindex)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        wanted = str(field.field_name).removesuffix("_pattern")
        if wanted == "metadata" and not groups:
            raise ValueError("must hold a named group for each field: (?P<kind>…)")
        if wanted != "metadata" and wanted not in groups:
            raise ValueError(f"must hold a group named '{wanted}': (?P<{wanted}>…)")
        return pattern


def _require_mask_pattern(pattern: str) -> None:
    try:
        fields = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
    except ValueError as error:
        raise ValueError(f"is not a pattern: {error}") from error
    if "stem" not in fields or fields - {"stem", "folder"}:
        raise ValueError("must name {stem}, may name {folder}, and no other field")
    words = re.sub(r"{\w+}|\.\w+$", "", pattern)
    if not re.search(r"\w", words) or "*" in pattern:
        raise ValueError(
            "must tell masks from images, by a folder or a part of the name: "
            "masks/{folder}/{stem}.png"
        )


class ReferenceSpec(Section):
    """Where a text's statements can be read up on."""

    title: str
    url: Annotated[str, Field(pattern=r"^https://[^\s\"<>]+$")]


class ClassSpec(Section):
    """One class the model tells apart."""

    name: Slug
    title: str
    """The name a person reads."""
    labels: tuple[Name, ...] = ()
    """Folder names or table values that mean this class; its own name if empty."""
    finding: bool = True
    """Whether this class is a finding (``False`` for the healthy or unremarkable class)."""
    about: str = ""
    """Two or three educational sentences, shown with an explanation."""
    recommendations: tuple[str, ...] = ()
    """What a reader should do or bear in mind, a sentence each; general and cautious."""
    sources: tuple[ReferenceSpec, ...] = ()
    """Where ``about`` comes from."""

    @property
    def landing_labels(self) -> tuple[str, ...]:
        """What this class is called in the landing folder."""
        return self.labels or (self.name,)


class ImageSpec(Section):
    """How a decoded picture becomes the model's square input."""

    size: int = Field(default=160, ge=32, le=1024, multiple_of=32)
    """Side in pixels."""
    resize: Literal["stretch", "pad"] = "stretch"
    """Change the aspect ratio, or keep it and pad with black."""
    crop: Literal["none", "body", "lesion"] = "none"
    """Cut away the dark border around the body first, or all but the lesion and what is around it,
    or nothing. Lesions are found by a U-Net that learns from the masks (``landing.masks``) of the
    training images; a picture in which it finds none is kept whole."""
    background: Literal["keep", "mask"] = "keep"
    """Make all pixels outside the body black, or not: letters, borders and scanner noise tell
    where a picture comes from."""
    intensity: Literal["as_is", "normalise"] = "as_is"
    """Stretch the tones so that the 1st and 99th percentile of the body's grey shades become black
    and white, or not: scanners and exports differ in brightness and contrast."""
    colour: Literal["as_is", "grey"] = "as_is"
    """Reduce to grey shades, or not: where all pictures are grey anyway, a tint tells the
    source."""

    @property
    def without_lesion_crop(self) -> "ImageSpec":
        """The same, not cropped to lesions: how the network that finds them sees pictures."""
        return self.model_copy(update={"crop": "none"}) if self.crop == "lesion" else self


class ExternalSpec(Section):
    """A collection from elsewhere: its figures stand beside the test set's, and nothing is ever
    trained on it (``medloop ingest-external DATASET NAME FOLDER``)."""

    name: Slug
    title: str
    source: SourceSpec
    landing: LandingSpec = LandingSpec()
    labels: dict[str, tuple[Name, ...]] = Field(default={})
    """Class → what it is called there; at least two of the classes. Those of ``classes`` if
    empty."""

    @field_validator("labels")
    @classmethod
    def _tells_classes_apart(cls, labels: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if len(labels) == 1 or not all(labels.values()):
            raise ValueError("must name two classes at least, each with a label")
        return labels


class LimitsSpec(Section):
    """What is refused before it is decoded."""

    max_megabytes: float = Field(default=64, gt=0)
    max_megapixels: float = Field(default=50, gt=0)
    min_side: int = Field(default=32, ge=1)
    frames: Literal["single", "first", "middle", "key"] = "single"
    """Which frame of a DICOM file with several is its image: none, and such files are refused
    (``single``); the first; the middle one; or the one that RepresentativeFrameNumber names
    (``key``). The other frames are not kept."""


class DuplicatesSpec(Section):
    """When two images are near duplicates: both hold (docs/decisions/near-duplicates.md)."""

    hash_distance: int = Field(default=12, ge=0, le=24)
    """Most differing bits of the 64-bit perceptual hashes."""
    correlation: float = Field(default=0.94, gt=0, le=1)
    """Least correlation of the two pictures, compared closely."""


class SplitSpec(Section):
    """How groups are divided."""

    validation: float = Field(default=0.15, gt=0, lt=0.5)
    test: float = Field(default=0.15, gt=0, lt=0.5)
    """Share of the test set where the collection has no test folder of its own; approximate, as
    each patient or image is drawn by a hash. A test image stays one, whatever comes later."""
    validation_by: Literal["group", "source"] = "group"
    """What validation is made of: groups drawn from everywhere, or whole source clusters
    (scanners, collections), as nearly as the classes allow; then its figures say how a model does
    on images from elsewhere."""
    seed: int = 17
    """Another one draws other validation images, and new images otherwise; what was divided before
    stays on its side of the test set."""


class ChecksSpec(Section):
    """Tolerances of the expectation suites."""

    max_quarantined: Share = 0.02
    """Largest share of landed files that may be refused."""
    max_duplicates: Share = 0.25
    """Largest share of images that may be exact copies of another."""
    min_per_class: int = Field(default=30, ge=2)
    """Fewest images of a class in a snapshot."""
    max_imbalance: float = Field(default=20, ge=1)
    """Largest ratio of the largest class to the smallest."""
