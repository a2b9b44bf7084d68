"""What file names tell of an image, by the patterns of the spec: group, label, other facts."""

import re
from dataclasses import dataclass
from functools import cached_property

from pipelines.spec import LandingSpec
from pipelines.spelling import nfc


@dataclass(frozen=True)
class FileNames:
    """Reads file names as a data set's spec says.

    Args:
        landing: its patterns.
    """

    landing: LandingSpec

    def group(self, name: str) -> str | None:
        """The patient or lesion; ``None`` where the name does not tell."""
        return self._found(self._group, name).get("group")

    def label(self, name: str) -> str | None:
        """The landing label; ``None`` where the name does not tell."""
        return self._found(self._label, name).get("label")

    def metadata(self, name: str) -> dict[str, str]:
        """Field → value, of those that the name tells."""
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
        told = match.groupdict() if match else {}
        return {field: value for field, value in told.items() if value is not None}


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None
