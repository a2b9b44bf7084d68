"""A file of a landing folder with its label, from folders, file names or a table."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from pipelines.spec import DatasetSpec, LandingSpec
from pipelines.spelling import folded, nfc


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the landing folder, or a row of its label table, before it is opened."""

    relative: str
    """Path below the landing folder, separated by ``/``, as the file system spells it."""
    landing_label: str | None = None
    label: str | None = None
    declared_split: str | None = None
    group: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    """Why the file cannot be used, whatever its content; ``None`` if it can."""
    message: str | None = None


@dataclass(frozen=True)
class FileNames:
    """Reads patient, label and metadata from file names, by the patterns of the spec.

    Args:
        landing: has the patterns.
    """

    landing: LandingSpec

    def group(self, name: str) -> str | None:
        """The patient or lesion; ``None`` if the name has none."""
        return self._found(self._group, name).get("group")

    def label(self, name: str) -> str | None:
        """The landing label; ``None`` if the name has none."""
        return self._found(self._label, name).get("label")

    def metadata(self, name: str) -> dict[str, str]:
        """Field → value, of the fields that match."""
        return self._found(self._metadata, name)

    @cached_property
    def _group(self) -> re.Pattern[str] | None:
        return _compiled(self.landing.group_pattern)

    @cached_property
    def _label(self) -> re.Pattern[str] | None:
        return _compiled(self.landing.label_pattern)

    @cached_property
    def _metadata(self) -> re.Pattern[str] | None:
        return _compiled(self.landing.metadata_pattern)

    @staticmethod
    def _found(pattern: re.Pattern[str] | None, name: str) -> dict[str, str]:
        match = pattern.search(nfc(name)) if pattern else None
        fields = match.groupdict() if match else {}
        return {field: value for field, value in fields.items() if value is not None}


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


def unlabelled(spec: DatasetSpec, label: str | None) -> str:
    """The message for a file without a known class."""
    known = ", ".join(spec.class_of_label)
    if label is None:
        return f"The file is not in a class folder (known: {known})."
    similar = [other for other in spec.class_of_label if folded(other) == folded(label)]
    advice = f" Did you mean {similar[0]!r}? Labels are case-sensitive." if similar else ""
    return f"{label!r} is not a class of {spec.name} (known: {known}).{advice}"
