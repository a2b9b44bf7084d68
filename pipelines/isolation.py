"""Environments of processes that must not read the settings of the installation they run in.

The canary, the tests and the benchmarks start the real parts with settings of their own. Variables
of the calling shell and the file ``.env`` must not reach them: a certificate or a second port that
is right for the installation breaks a copy of its service.
"""

import os
from collections.abc import Mapping

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipelines.settings import ENV_FILE, NO_ENV_FILE, Settings

CONFIGURING = (
    *("MEDLOOP_", "AIRFLOW_", "BENTOML_", "MLFLOW_", "GX_", "KERAS_"),
    *("SPARK_", "PYSPARK_", "HADOOP_", "PG"),
)
"""Prefixes of variables by which our parts are configured."""


class IsolatedSettings(Settings):
    """Settings of this process that neither a variable nor a file changes."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 pydantic names the arguments
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only."""
        return (init_settings,)


def isolated_environment(**settings: object) -> dict[str, str]:
    """The environment for a process whose settings are the defaults and these.

    Args:
        settings: fields of `Settings` and their values; ``None`` leaves a field at its default.

    Returns:
        The variables of this process, without those that configure Medloop or one of its parts.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURING)}
    return kept | settings_environment(settings)


def settings_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The variables that make another process read these settings, and no file of settings."""
    given = {
        f"MEDLOOP_{name.upper()}": str(value)
        for name, value in settings.items()
        if value is not None
    }
    return given | {ENV_FILE: NO_ENV_FILE}
