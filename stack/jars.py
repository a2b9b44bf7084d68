"""The Hadoop servers' jars, pinned by hash and fetched once with the Ivy that Spark ships.

PySpark brings Hadoop's client classes; what HDFS and YARN run as servers is one more jar of the
same release, from Maven Central.
"""

import logging
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.errors import StackError
from pipelines.hashing import file_digest
from pipelines.settings import Settings
from stack.environment import inherited_environment, java
from stack.part import Say

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Jar:
    """One pinned artifact of Maven Central."""

    group: str
    name: str
    version: str
    sha256: str
    size: int
    """In bytes."""

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name}-{self.version}.jar"


HADOOP = Jar(
    "org.apache.hadoop",
    "hadoop-client-minicluster",
    "3.5.0",
    "06772d24529e59939915979b3edba204d367750ef7dc5120411f35221dd4818c",
    56_006_450,
)
HDFS = (HADOOP,)
"""What the NameNode and the DataNodes need besides what PySpark ships."""
YARN = (
    HADOOP,
    Jar(
        "org.bouncycastle",
        "bcprov-jdk18on",
        "1.82",
        "14cde2fdfaa8890480a8e5b67aceef0c90f96682c1e23c133bafdc9e0b3255ce",
        8_451_859,
    ),
    Jar(
        "org.bouncycastle",
        "bcpkix-jdk18on",
        "1.82",
        "bdc723e20834832ac6af136cb5b5ff05e43b71d4fa151cc6510d9212ee086e63",
        1_151_390,
    ),
    Jar(
        "org.bouncycastle",
        "bcutil-jdk18on",
        "1.82",
        "4420691958ad1c0ba275a6d6d8a6317adbdbdc9277055b6a72aa89c88cda8c7d",
        706_248,
    ),
)
"""What the ResourceManager and the NodeManager need: they also sign proxies' certificates."""
SHIPPED = (
    f"hadoop-client-api-{HADOOP.version}",
    f"hadoop-client-runtime-{HADOOP.version}",
    "slf4j-api-[0-9]*",
    "jcl-over-slf4j-[0-9]*",
    "log4j-api-[0-9]*",
    "log4j-core-[0-9]*",
    "log4j-1.2-api-[0-9]*",
    "log4j-slf4j2-impl-[0-9]*",
)
"""The jars among PySpark's that the servers also need."""


def hadoop_release() -> str:
    """The release of Hadoop that the servers run."""
    return HADOOP.version


def fetch(settings: Settings, jars: Iterable[Jar], say: Say) -> None:
    """Download the jars that are not there yet, or are not what was pinned.

    Raises:
        StackError: one cannot be had, or what came is not what was pinned.
    """
    for jar in jars:
        target = settings.jars / jar.file
        if not target.is_file() or file_digest(target) != jar.sha256:
            _fetch(settings, jar, say)


def _fetch(settings: Settings, jar: Jar, say: Say) -> None:
    settings.jars.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=settings.jars) as folder:
        fetched = _download(jar, Path(folder), say)
        _require_hash(fetched, jar)
        fetched.replace(settings.jars / jar.file)


def _download(jar: Jar, folder: Path, say: Say) -> Path:
    log = folder / "ivy.log"
    ivy = [
        *(java(), "-cp", str(_shipped("ivy-[0-9]*")), "org.apache.ivy.Main"),
        *("-cache", str(folder / "cache"), "-confs", "default", "-notransitive"),
        *("-dependency", jar.group, jar.name, jar.version),
        *("-retrieve", str(folder / "[artifact]-[revision].[ext]")),
    ]
    with log.open("wb") as output:
        download = subprocess.Popen(ivy, stdout=output, stderr=output, env=inherited_environment())
        while _still_runs(download):
            say(f"fetching {jar.file}: {_bytes_in(folder) / 1e6:.0f} of {jar.size / 1e6:.0f} MB")
    fetched = folder / jar.file
    if download.returncode or not fetched.is_file():
        raise StackError(
            f"Could not download {jar.group}:{jar.name}:{jar.version} from Maven Central. "
            f"Check the network (or put {jar.file} into {folder.parent} by hand). Ivy said:\n"
            + "\n".join(_complaints(log))
        )
    return fetched


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return True
    return False


def _bytes_in(folder: Path) -> int:
    sizes = []
    for path in folder.rglob("*.jar*"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes, default=0)


def _complaints(log: Path) -> list[str]:
    lines = log.read_text("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if "ERROR" in line or "WARN" in line][:8] or lines[-8:]


def _require_hash(path: Path, jar: Jar) -> None:
    found = file_digest(path)
    if found != jar.sha256:
        raise StackError(
            f"{jar.file} from Maven Central has sha256 {found}, not the pinned {jar.sha256}. "
            "It was not kept."
        )


def classpath(settings: Settings, jars: Iterable[Jar]) -> str:
    """The class path of a Hadoop server: the fetched jars and those that PySpark ships."""
    fetched = [settings.jars / jar.file for jar in jars]
    return ":".join(map(str, [*fetched, *map(_shipped, SHIPPED)]))


@cache
def _shipped(pattern: str) -> Path:
    import pyspark

    folder = Path(pyspark.__file__).parent / "jars"
    found = sorted(folder.glob(f"{pattern}.jar"))
    if not found:
        raise StackError(
            f"PySpark {pyspark.__version__} ships no {pattern}.jar in {folder}; the embedded HDFS "
            f"is made for a PySpark built with Hadoop {HADOOP.version}. Install the locked one."
        )
    return found[0]
