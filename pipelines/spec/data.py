"""Where images come from, what they are called, and how they are divided."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipelines.spec.section import Section, Share, Slug


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

    file: str
    """The CSV, relative to the landing folder."""
    image: str
    """Path of a row's image, with columns in braces: ``images/{image_id}.jpg``."""
    label: str
    """Column that holds the label."""
    group: str | None = None
    """Column that holds the patient or lesion."""
    metadata: tuple[str, ...] = ()
    """Columns kept beside each image (never identifiers)."""


class LandingSpec(Section):
    """Where images land, how they are laid out there, and when they are all there."""

    path: str | None = None
    """The folder, local or ``hdfs:///PATH``; ``$MEDLOOP_HOME/landing/<dataset>`` if unset."""
    quiet_seconds: float = Field(default=60, gt=0)
    """How long nothing in it may have changed before new files are taken for complete."""
    marker: str | None = None
    """Name of a file at its top, such as ``_SUCCESS``, that whoever hands images over writes
    last: its coming says at once that they are complete, and nothing else does."""
    splits: dict[Literal["train", "test"], str] = Field(default={})
    """Folders of a split that comes with the collection; class folders stand inside them."""
    table: TableSpec | None = None
    """Labels from a CSV file; class folders are read if unset."""
    group_pattern: str | None = None
    """Regular expression with a group ``(?P<group>…)``, searched in the file name."""
    ignore: tuple[str, ...] = ()
    """Glob patterns, relative to the landing folder, of files that are not images to ingest."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Glob patterns of all files that are not images to ingest."""
        return (*self.ignore, self.marker) if self.marker else self.ignore

    @field_validator("marker")
    @classmethod
    def _is_a_name(cls, marker: str | None) -> str | None:
        if marker is not None and not re.fullmatch(r"[^/*?\[\]]+", marker):
            raise ValueError("must be a file's name, without folder and wildcards")
        return marker

    @field_validator("group_pattern")
    @classmethod
    def _names_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        if "group" not in groups:
            raise ValueError("must hold a group named 'group': (?P<group>…)")
        return pattern


class ReferenceSpec(Section):
    """Where a text's statements can be read up on."""

    title: str
    url: Annotated[str, Field(pattern=r"^https://[^\s\"<>]+$")]


class ClassSpec(Section):
    """One class the model tells apart."""

    name: Slug
    title: str
    """The name a person reads."""
    labels: tuple[str, ...] = ()
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
    crop: Literal["none", "body"] = "none"
    """Cut away the dark border around the body first, or not."""


class LimitsSpec(Section):
    """What is refused before it is decoded."""

    max_megabytes: float = Field(default=64, gt=0)
    max_megapixels: float = Field(default=50, gt=0)
    min_side: int = Field(default=32, ge=1)


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
    """Share of the test set where the collection has no test folder of its own."""
    seed: int = 17


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
