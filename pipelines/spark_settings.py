"""The settings that say where Spark works, and with what (``docs/cluster.md``)."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOCAL = re.compile(r"local(\[(\*|[1-9]\d*)(, *[1-9]\d*)?\])?")
STANDALONE = re.compile(r"spark://[\w.-]+:\d{1,5}(,[\w.-]+:\d{1,5})*")
EMBEDDED = ("standalone", "yarn")
MEMORY = re.compile(r"[1-9]\d*[mgt]")
FOLDER = re.compile(r"/.*|[a-z][a-z0-9]*://.+")


class SparkSettings(BaseSettings):
    """Each field is set by ``MEDLOOP_<FIELD>``, as those of `pipelines.settings.Settings`."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    spark: str = "local"
    """Where Spark works. ``local`` (or ``local[CORES]``): within the task. ``standalone`` or
    ``yarn``: on a cluster that the embedded stack runs. ``spark://HOST:PORT``: on a standalone
    cluster elsewhere. ``yarn`` with ``spark_hadoop_conf``: on a YARN cluster elsewhere."""
    spark_hadoop_conf: Path | None = None
    """The Hadoop configuration folder of a YARN cluster elsewhere (``core-site.xml``,
    ``yarn-site.xml``). With ``spark=yarn`` only."""
    spark_executors: int | None = Field(default=None, ge=1)
    """How many executors a job gets; the cluster's default if unset. Needs
    ``spark_executor_cores``."""
    spark_executor_cores: int | None = Field(default=None, ge=1)
    """Cores of an executor; the cluster's default if unset."""
    spark_executor_memory: str = "1g"
    """Heap of an executor. Its Python workers, one per core, take about 512 MB each besides."""
    spark_python: str | None = None
    """The Python that executors run: a path that exists on each node. The Python of this
    installation if unset."""
    spark_conf: Path | None = None
    """A file of further Spark properties, in the format of ``spark-defaults.conf``."""
    spark_event_log: str | None = None
    """Folder for Spark's event logs, an absolute path or a URI (``hdfs://…``), for Spark's history
    server; none are written if unset."""
    spark_driver_memory: str = "2g"
    """Heap of a task's own Spark."""

    @field_validator("spark")
    @classmethod
    def _spark(cls, text: str) -> str:
        if text in EMBEDDED or LOCAL.fullmatch(text) or STANDALONE.fullmatch(text):
            return text
        raise ValueError(
            f"{text!r} is not a place where Spark works; write local, local[CORES], standalone, "
            "yarn or spark://HOST:PORT (docs/cluster.md)"
        )

    @field_validator("spark_hadoop_conf")
    @classmethod
    def _hadoop_conf(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path and info.data.get("spark") != "yarn":
            raise ValueError("it is read with MEDLOOP_SPARK=yarn only; set that or unset this")
        return path

    @field_validator("spark_executor_cores")
    @classmethod
    def _executor_cores(cls, cores: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("spark_executors") and cores is None:
            raise ValueError("MEDLOOP_SPARK_EXECUTORS is set, so it needs a number of cores each")
        return cores

    @field_validator("spark_executor_memory", "spark_driver_memory")
    @classmethod
    def _memory(cls, text: str) -> str:
        if MEMORY.fullmatch(text):
            return text
        raise ValueError(f"{text!r} is not an amount of memory; write 512m or 2g")

    @field_validator("spark_event_log")
    @classmethod
    def _event_log(cls, text: str | None) -> str | None:
        if not text or FOLDER.fullmatch(text):
            return text
        raise ValueError(
            f"{text!r} is neither an absolute path nor a URI such as hdfs://HOST:PORT/logs"
        )

    @property
    def embedded_spark(self) -> Literal["standalone", "yarn"] | None:
        """The cluster that the embedded stack runs for Spark, if any."""
        if self.spark == "standalone":
            return "standalone"
        return "yarn" if self.spark == "yarn" and self.spark_hadoop_conf is None else None

    @property
    def spark_is_local(self) -> bool:
        """Whether Spark works within the task, in this very checkout."""
        return self.spark.startswith("local")
