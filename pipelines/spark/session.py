"""The Spark session: local by default, on any master that the settings name.

HDFS is read by ``hdfs://`` URI with the Hadoop client that PySpark ships; no separate Spark or
Hadoop installation is needed, only Java.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import StackError, Unavailable
from pipelines.progress import watch
from pipelines.settings import Settings
from pipelines.spark.class_archive import ClassArchive, archive_for
from pipelines.spark.cluster import cluster_environment, cluster_options
from pipelines.spark.failures import translated
from pipelines.spark.properties import with_further
from pipelines.spark.sent_code import sent_code

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

LEAST_JAVA = 17
ARROW_BATCH_ROWS = 64
"""Rows that travel between the JVM and Python at a time: originals can be megabytes each."""
ARROW_BATCH_BYTES = 64 << 20


@contextmanager
def spark_session(settings: Settings, *, name: str) -> Iterator["SparkSession"]:
    """A Spark session, stopped at the end unless it was running before.

    Args:
        settings: gives master, memory, host and folders.
        name: what Spark's own tools call the application.

    Raises:
        StackError: Java is missing or too old, or Spark does not start.
        Unavailable: the cluster that Spark runs on does not answer.
        MedloopError: a job fails; see `pipelines.spark.failures.translated`.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    # Not `getActiveSession`: there is none any more once Keras has exported a model.
    if SparkContext._active_spark_context is not None:
        with translated(name):
            yield SparkSession.builder.getOrCreate()
        return
    archive = archive_for(settings, java_version=require_java())
    is_new = not archive.is_there
    with sent_code(settings) as code:
        session = _start(settings, name, archive, code)
        try:
            with translated(name):
                yield session
        finally:
            session.stop()
            if is_new:
                archive.keep(session)


def require_java() -> str:
    """Make sure that the Java that Spark will start is new enough.

    Returns:
        What it says of its version.

    Raises:
        StackError: there is none, or it is older than Java 17.
    """
    java = _java()
    advice = (
        f"Spark needs Java {LEAST_JAVA} or newer. Install one (Debian and Ubuntu: apt-get install "
        f"openjdk-{LEAST_JAVA}-jre-headless) or set JAVA_HOME to one."
    )
    if java is None:
        where = os.environ.get("JAVA_HOME")
        looked = f"JAVA_HOME={where} holds no bin/java" if where else "No java on PATH"
        raise StackError(f"{looked}. {advice}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < LEAST_JAVA:
        first_line = (said.strip().splitlines() or ["nothing"])[0]
        raise StackError(f"{java} -version says {first_line}. {advice}")
    return said


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    if not home:
        return shutil.which("java")
    java = Path(home) / "bin" / "java"
    return str(java) if java.is_file() else None


def _start(
    settings: Settings, name: str, archive: ClassArchive, code: dict[str, str]
) -> "SparkSession":
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    os.environ.update(cluster_environment(settings))
    # Only these reach Spark by the environment; whoever set them knows better.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("HADOOP_USER_NAME", settings.hdfs_user)
    os.environ.setdefault("SPARK_LOCAL_IP", settings.inner_host)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    builder = SparkSession.builder.master(settings.spark_url).appName(f"medloop {name}")
    properties = with_further(settings, _options(settings, archive) | code)
    try:
        return builder.config(map=properties).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        # A cluster's master may be about to come back; a Spark of our own starts or does not.
        kind = StackError if settings.spark_url.startswith("local") else Unavailable
        raise kind(
            f"Spark does not start on {settings.spark_url} (MEDLOOP_SPARK): {error}"
        ) from error


def _options(settings: Settings, archive: ClassArchive) -> dict[str, str]:
    scratch = settings.work / "spark"
    scratch.mkdir(parents=True, exist_ok=True)
    quiet = Path(__file__).with_name("log4j2.properties").as_uri()
    return {
        **cluster_options(settings),
        **_event_log(settings),
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.host": settings.spark_driver_host or settings.inner_host,
        "spark.driver.bindAddress": "0.0.0.0"
        if settings.spark_driver_host
        else settings.inner_host,
        "spark.hadoop.dfs.replication": str(min(settings.datanodes, 3)),
        # C1 alone starts a fifth sooner; the heavy work is in native libraries and in Python.
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={quiet} -XX:TieredStopAtLevel=1 {archive.options}"
        ),
        "spark.local.dir": str(scratch),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Tasks that end together are counted at once, not when the next one ends.
        "spark.ui.liveUpdate.period": "0",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_BATCH_ROWS),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(ARROW_BATCH_BYTES),
        "spark.sql.parquet.columnarReaderBatchSize": str(ARROW_BATCH_ROWS),
    }


def _event_log(settings: Settings) -> dict[str, str]:
    folder = settings.spark_event_log
    if folder is None:
        return {}
    if folder.startswith("/"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        folder = Path(folder).as_uri()
    return {"spark.eventLog.enabled": "true", "spark.eventLog.dir": folder}


@contextmanager
def told(session: "SparkSession", *, what: str, tasks: int) -> Iterator[None]:
    """Show how many tasks of the running job have finished: a bar for a person, lines for a log.

    Args:
        session: where the job runs.
        what: the work, in a few words: ``"Preparing brain_mri"``.
        tasks: how many tasks the stage has that does the work.
    """
    ended = threading.Event()
    watching = threading.Thread(
        target=watch,
        args=(_Finished(session, tasks),),
        kwargs={"total": tasks, "what": f"{what}, parts", "ended": ended},
        daemon=True,
    )
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


class _Finished:
    """Counts the tasks that are done of the stage with so many. A stage that has just ended is no
    longer active, so the count never goes back."""

    def __init__(self, session: "SparkSession", tasks: int) -> None:
        self._tracker = session.sparkContext.statusTracker()
        self._tasks = tasks
        self._most = 0

    def __call__(self) -> int:
        stages = [self._tracker.getStageInfo(stage) for stage in self._tracker.getActiveStageIds()]
        done = [s.numCompletedTasks for s in stages if s is not None and s.numTasks == self._tasks]
        self._most = max(self._most, *done, 0)
        return self._most
