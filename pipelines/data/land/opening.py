"""All files of a landing folder, each opened once: here, or by Spark's executors.

What is known of a file that has not changed is in the ledger, so a landing that was killed goes on
with the packs that are missing. Executors open the files where Spark works on a cluster and the
folder is in HDFS or a bucket, which every node can read.
"""

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.data.folders import FileState, LandingFolder, LocalFolder
from pipelines.data.land import deidentify, examine, executor, metadata, originals
from pipelines.data.land.erased import ERASED, erased
from pipelines.data.land.executor import OPENED, Landed, LandJob
from pipelines.data.land.ledger import Ledger, is_settled
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.data.rows import Original
from pipelines.data.tables import Table
from pipelines.decoding import decoding_versions, imaging_modules
from pipelines.imaging.limits import limits_of
from pipelines.progress import track
from pipelines.settings import Settings
from pipelines.spark.session import spark_session
from pipelines.spec import DatasetSpec
from pipelines.stage import Context, code_version, fingerprint
from pipelines.storage import open_store

logger = logging.getLogger(__name__)

IMAGING = ("blank", "decode", "kind", "perceptual", "shades", "traces")
"""The modules of `pipelines.imaging` that say what is found in a file."""
FEW_FILES = 64
"""Up to this number, one process opens them sooner than several have started."""
TASK_BYTES = 256 * 1000**2
"""Of the files of a Spark task, at most; less where that gives each core one."""
MAY_HEAL = ("unreadable", "out_of_memory", "unexpected_error", "process_died", "timeout")
"""Reasons that need not be the file's fault: the next landing opens the file again."""
KNOWN_AT_ONCE = 4096
"""Files that the ledger is asked about at a time."""


@dataclass(frozen=True)
class Opener:
    """Opens files of one landing folder.

    Args:
        spec: the data set.
        context: settings and store.
        source: the landing folder.
        names: this installation's pseudonyms.
        ledger: what is known of files.
    """

    spec: DatasetSpec
    context: Context
    source: LandingFolder
    names: Pseudonyms
    ledger: Ledger

    def open(self, files: Sequence[FileState]) -> pa.Table:
        """What each file holds; one that has not changed since an earlier run is not opened.

        Returns:
            `OPENED`, in no order.

        Raises:
            StoreUnavailable: HDFS, where the folder is, or the store does not answer.
            StackError: the process that opens files does not start.
        """
        table = Table.open(self.context, self.spec.name, Original)
        parts = table.parts()
        found = [self._known(files, table.read(parts, ["facts"])["facts"])]
        unseen, now = _without(files, found[0]["path"]), time.time()
        settled = {file.path: file for file in unseen if is_settled(file, now=now)}
        limits, gone = limits_of(self.spec.limits), erased(self.context, self.spec.name)
        job = LandJob(self.source, self.names, limits, gone, self.spec.name, tuple(parts))
        for landed in self._each(unseen, job):
            table.register(landed.parts)
            self._note(landed.opened, settled)
            found.append(landed.opened)
        counts = f"{len(files):,} files, {len(unseen):,} opened"
        logger.info("%s: %s", self.source.location, counts)
        return pa.concat_tables(found)

    def _each(self, files: Sequence[FileState], job: LandJob) -> Iterator[Landed]:
        settings = self.context.settings
        if not files:
            return
        is_small = sum(file.size for file in files) <= TASK_BYTES  # done before Spark has started
        if not (is_small or settings.spark_is_local or isinstance(self.source, LocalFolder)):
            yield from _by_spark(files, job, settings)
            return
        processes = 1 if len(files) <= FEW_FILES else len(os.sched_getaffinity(0))
        paths = [file.path for file in files]
        yield from executor.land(paths, job, self.context.store, processes=processes)

    def _known(self, files: Sequence[FileState], held: pa.ChunkedArray) -> pa.Table:
        """What the ledger says of files whose originals the data set has, or that have none."""
        place, gone = self.source.location, erased(self.context, self.spec.name)
        tables = [OPENED.empty_table()]
        for start in range(0, len(files), KNOWN_AT_ONCE):
            part = files[start : start + KNOWN_AT_ONCE]
            said = self.ledger.opened(place, part, version=self._version)
            rows = {path: json.loads(text) for path, text in said.items()}
            again = {p for p, r in rows.items() if gone.has((r["sha256"], r["landed_sha256"]))}
            self.ledger.forget(place, [file for file in part if file.path in again])
            kept = [r | {"path": os.fsencode(p)} for p, r in rows.items() if p not in again]
            tables.append(pa.Table.from_pylist(kept, schema=OPENED))
        known = pa.concat_tables(tables)
        is_there = pc.is_in(known["facts"], value_set=held.combine_chunks())
        return known.filter(pc.or_(pc.is_null(known["facts"]), is_there))

    def _note(self, opened: pa.Table, settled: dict[str, FileState]) -> None:
        """Keep in the ledger what need not be found again."""
        passing = pc.is_in(opened["reason"], value_set=pa.array([*MAY_HEAL, ERASED]))
        rows = opened.filter(pc.invert(passing)).drop_columns(["frames"]).to_pylist()
        by_path = ((os.fsdecode(row.pop("path")), row) for row in rows)
        said = [(settled[path], json.dumps(row)) for path, row in by_path if path in settled]
        self.ledger.note(self.source.location, said, version=self._version)

    @property
    def _version(self) -> str:
        return self.context.identity(self.spec.limits, examination_version())


def examination_version() -> str:
    """The version of the code and libraries that decide how a file is judged and described."""
    stripping = (metadata, *metadata.MODULES)
    ours = (examine, deidentify, originals, *stripping, *imaging_modules(*IMAGING))
    return fingerprint(code_version(*ours), decoding_versions())


def paths_of(paths: Iterable[str]) -> pa.Array:
    """Paths as the column ``path`` has them."""
    return pa.array([os.fsencode(path) for path in paths], pa.binary())


def _without(files: Sequence[FileState], known: pa.ChunkedArray) -> list[FileState]:
    """Those of ``files`` whose path is not known."""
    is_known = pc.is_in(paths_of(file.path for file in files), value_set=known)
    return [file for file, one in zip(files, is_known, strict=True) if not one.as_py()]


def _by_spark(files: Sequence[FileState], job: LandJob, settings: Settings) -> Iterator[Landed]:
    """Results of one Spark task each, as soon as it has ended.

    Every task is a job of its own, so that what has ended is kept when the driver is killed.
    """
    with spark_session(settings, name=f"land {job.dataset}") as spark:
        context = spark.sparkContext
        cores = context.defaultParallelism
        chunks = chunks_of(files, cores=cores)
        logger.info("Landing %d files in %d tasks", len(files), len(chunks))

        def run(paths: list[str]) -> list[Landed]:
            work = partial(_task, job=job, settings=settings)
            found: list[Landed] = context.parallelize([paths], 1).flatMap(work).collect()
            return found

        pool = ThreadPoolExecutor(min(cores, len(chunks)))
        try:
            tasks = [pool.submit(run, chunk) for chunk in chunks]
            for task in track(as_completed(tasks), total=len(tasks), what="Landing, tasks"):
                yield from task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def chunks_of(files: Sequence[FileState], *, cores: int) -> list[list[str]]:
    """Paths of the files of each task: one task for each core, or more of `TASK_BYTES`; none for
    less than `FEW_FILES`.

    Files of one size are in one task unless they fill more than one. A task stores equal files
    once, and cannot know what another one stores meanwhile.
    """
    size = max(1, sum(file.size for file in files))
    tasks = max(-(-size // TASK_BYTES), min(cores, -(-len(files) // FEW_FILES)))
    chunks: list[list[str]] = [[] for _ in range(tasks)]
    before = 0
    by_size = sorted(files, key=lambda file: (file.size, file.path))
    for each, group in groupby(by_size, key=lambda file: file.size):
        same = [file.path for file in group]
        for number, path in enumerate(same):
            fits = each * len(same) * tasks <= size
            chunks[(before if fits else before + each * number) * tasks // size].append(path)
        before += each * len(same)
    return [chunk for chunk in chunks if chunk]


def _task(paths: list[str], *, job: LandJob, settings: Settings) -> list[Landed]:
    """What one of Spark's workers does."""
    return list(executor.land(paths, job, open_store(settings), processes=1))
