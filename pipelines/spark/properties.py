"""Further Spark properties of an installation: the file that ``MEDLOOP_SPARK_CONF`` names."""

from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import SettingsError
from pipelines.settings import Settings

ADDED = {"spark.archives": ",", "spark.driver.extraJavaOptions": " "}
"""Properties that ours and the file's values make together, and what goes between them."""
SETTINGS = {
    "spark.master": "MEDLOOP_SPARK",
    "spark.executor.instances": "MEDLOOP_SPARK_EXECUTORS",
    "spark.cores.max": "MEDLOOP_SPARK_EXECUTORS",
    "spark.executor.cores": "MEDLOOP_SPARK_EXECUTOR_CORES",
    "spark.executor.memory": "MEDLOOP_SPARK_EXECUTOR_MEMORY",
    "spark.driver.memory": "MEDLOOP_SPARK_DRIVER_MEMORY",
    "spark.driver.host": "MEDLOOP_SPARK_DRIVER_HOST",
    "spark.pyspark.python": "MEDLOOP_SPARK_PYTHON",
    "spark.eventLog.enabled": "MEDLOOP_SPARK_EVENT_LOG",
    "spark.eventLog.dir": "MEDLOOP_SPARK_EVENT_LOG",
}
"""Properties that have a setting of their own."""
OVERRIDABLE = ("spark.executor.memoryOverhead", "spark.yarn.jars", "spark.hadoop.")
"""Beginnings of properties that Medloop has a default for."""


def with_further(settings: Settings, ours: Mapping[str, str]) -> dict[str, str]:
    """Our properties and those of the file.

    Raises:
        SettingsError: the file cannot be read, or sets what it may not.
    """
    properties = dict(ours)
    if settings.spark_conf is None:
        return properties
    for name, value in _read(settings.spark_conf).items():
        if name in SETTINGS:
            raise _unusable(settings.spark_conf, f"{name} has a setting: use {SETTINGS[name]}")
        if name in ADDED and name in ours:
            properties[name] = f"{ours[name]}{ADDED[name]}{value}"
        elif name in ours and not name.startswith(OVERRIDABLE):
            raise _unusable(
                settings.spark_conf, f"Medloop depends on its own value of {name}: remove the line"
            )
        else:
            properties[name] = value
    return properties


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, f"it cannot be read ({error})") from error
    properties = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, _, value = line.replace("=", " ", 1 if "=" in line.split()[0] else 0).partition(" ")
        if not name.startswith("spark.") or not value.strip():
            raise _unusable(
                file,
                f"line {number} is {line!r}; write a Spark property and its value, such as "
                "spark.task.cpus 2",
            )
        properties[name] = value.strip()
    return properties


def _unusable(file: Path, why: str) -> SettingsError:
    return SettingsError(f"MEDLOOP_SPARK_CONF={file} is not usable: {why}.")
