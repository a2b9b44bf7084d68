"""How fast images get into HDFS: Medloop's ingestion beside ``hadoop fs -put``.

    python -m benchmarks.hdfs_put DATASET FOLDER [--put-images 300]

Starts a NameNode and a DataNode, and takes ``FOLDER`` in with ``medloop ingest``, which opens,
judges, hashes and packs each image. Then copies some of the same files with ``hadoop fs -put`` and
``-put -t 8``, which only copy. Each is a process of its own, its start included; the figure to
compare is milliseconds an image.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.settings import PROJECT, Settings
from stack import jars
from stack.environment import command, inherited_environment, java_server, stack_environment
from stack.testing import running_stack

THREADS = 8


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--put-images", type=int, default=300)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.resolve().rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory(prefix="hdfs-put-") as name:
        some = Path(name) / "some"
        some.mkdir()
        for number, file in enumerate(islice(files, 0, None, _step(files, options.put_images))):
            shutil.copy(file, some / f"{number:06d}{file.suffix}")
        copied = len(list(some.iterdir()))
        with running_stack(["hdfs"], home=Path(name) / "hdfs") as settings:
            ingested = _seconds(
                [command("medloop"), "ingest", options.dataset, str(options.folder)],
                inherited_environment() | stack_environment(settings),
            )
            put = _put(settings, some, "one")
            put_by_8 = _put(settings, some, "eight", "-t", str(THREADS))
    table = Table("what", "images", "seconds", "ms an image", "medloop ingest is faster by")
    each = 1000 * ingested / len(files)
    for what, images, seconds in (
        ("medloop ingest", len(files), ingested),
        ("hadoop fs -put", copied, put),
        (f"hadoop fs -put -t {THREADS}", copied, put_by_8),
    ):
        own = 1000 * seconds / images
        table.add_row(what, f"{images:,}", f"{seconds:.1f}", f"{own:.1f}", f"{own / each:.1f} x")
    Console(width=100, highlight=False).print(table)


def _step(files: list[Path], wanted: int) -> int:
    """Every which file is taken, so that all folders are represented."""
    return max(1, len(files) // wanted)


def _put(settings: Settings, folder: Path, name: str, *options: str) -> float:
    """Seconds that ``-put`` of a folder takes."""
    uri = f"hdfs://{settings.host}:{settings.namenode_rpc_port}"
    # The shell, other than the servers, wants a file of settings.
    (folder.parent / "core-site.xml").write_text("<configuration/>", "utf-8")
    classpath = f"{folder.parent}:{jars.classpath(settings, jars.HDFS)}"
    shell = java_server("org.apache.hadoop.fs.FsShell", classpath, {"fs.defaultFS": uri})
    return _seconds(
        [*shell, "-put", *options, str(folder), f"{uri}/{name}"], inherited_environment()
    )


def _seconds(words: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(words, env=environment, cwd=PROJECT, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(words[-6:])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds


if __name__ == "__main__":
    main()
