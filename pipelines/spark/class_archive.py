"""Spark's Java machine starts in half the time once its classes are in an archive.

Java reads, checks and links about 15,000 classes before Spark answers: 11 s of processor time.
"Class data sharing" (JEP 350) keeps the result in a file. The first session writes it when it ends;
sessions that find it start from it. Java itself checks that it fits, and goes on without it if not.

An archive belongs to one Java and to the very jars it was made from, so that its name is made of
both: an upgrade of either makes a new one.
"""

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

from pipelines.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

PREFIX = "spark-classes-"
KEPT = 3
"""Archives that stay, as several environments may share the folder."""
WRITTEN_WITHIN = 120.0
"""Seconds that Java may take to write an archive (200 MB) on a busy machine."""


@dataclass(frozen=True)
class ClassArchive:
    """The archive for one Java and its Spark, there already or to be written."""

    path: Path

    @property
    def is_there(self) -> bool:
        """Whether a session has written it."""
        return self.path.is_file()

    @property
    def _unfinished(self) -> Path:
        return self.path.with_suffix(f".{os.getpid()}")

    @property
    def options(self) -> str:
        """What makes Java start from the archive, or write it when it ends."""
        # Java says on its standard output when an archive does not fit.
        quiet = "-Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off"
        if self.is_there:
            return f"{quiet} -XX:SharedArchiveFile={self.path}"
        with suppress(OSError):  # an image may be read-only: Spark starts as slowly as ever
            self.path.parent.mkdir(parents=True, exist_ok=True)
        can_write = self.path.parent.is_dir() and os.access(self.path.parent, os.W_OK)
        return f"{quiet} -XX:ArchiveClassesAtExit={self._unfinished}" if can_write else quiet

    def keep(self, session: "SparkSession") -> None:
        """End the Java of a session that was told to write the archive, and keep what it wrote."""
        context = session.sparkContext
        gateway = context._gateway
        java = gateway.proc
        gateway.shutdown()
        # Spark's Java ends when its standard input does.
        java.stdin.close()
        type(context)._gateway = type(context)._jvm = None
        try:
            java.wait(timeout=WRITTEN_WITHIN)
        except TimeoutExpired:  # the work of the session is done: only the next one starts slowly
            logger.warning("Java did not write %s within %.0f s", self.path, WRITTEN_WITHIN)
            java.kill()
            java.wait()
            self._unfinished.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # another process may remove old ones at the same time
            self._unfinished.replace(self.path)
            self._remove_old()

    def _remove_old(self) -> None:
        """Keep the newest archives: upgrades leave old ones, a killed Java half of one."""
        archives = self.path.parent.glob(f"{PREFIX}*")
        for old in sorted(archives, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)


def archive_for(settings: Settings, *, java_version: str) -> ClassArchive:
    """The archive of this Java (by what ``java -version`` says) and this environment's Spark."""
    import pyspark

    jars = Path(pyspark.__file__).parent / "jars"
    digest = hashlib.sha256(java_version.encode())
    for jar in sorted(jars.iterdir()):
        status = jar.stat()
        digest.update(f"{jar} {status.st_size} {status.st_mtime_ns}\n".encode())
    return ClassArchive(settings.jars / f"{PREFIX}{digest.hexdigest()[:16]}.jsa")
