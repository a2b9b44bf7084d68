"""Settings that have a new name are read by the old one for one release, with a warning."""

import logging
import os
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

logger = logging.getLogger(__name__)

RENAMED = {"medloop_spark_master": "spark"}
"""Old variable, in lower case, and the field that it sets today."""


class RenamedSource(PydanticBaseSettingsSource):
    """Reads old names where another source reads the new ones, which override them."""

    def __init__(self, settings_cls: type[BaseSettings], beside: PydanticBaseSettingsSource):
        super().__init__(settings_cls)
        self._beside = beside

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Nothing: `__call__` gives all values."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The fields that old names set."""
        if not isinstance(self._beside, EnvSettingsSource):
            return {}
        given = self._beside.env_vars
        fields: dict[str, Any] = {}
        for old, field in RENAMED.items():
            if value := given.get(old):
                logger.warning(
                    "%s is deprecated and will be removed with the next release: set MEDLOOP_%s, "
                    "which overrides it, to the same value instead.",
                    old.upper(),
                    field.upper(),
                )
                fields[field] = value
        if fields.get("spark") == "yarn" and (folder := os.environ.get("HADOOP_CONF_DIR")):
            # It meant the cluster that Hadoop's own variable describes.
            fields["spark_hadoop_conf"] = folder
        return fields
