"""Opens all files of a landing folder once, on this machine or in Spark executors.

The ledger has the results of files that have not changed, so a killed landing continues with the
missing packs. Executors open the files if Spark runs on a cluster and the folder is in HDFS or a
bucket, which every node can read.
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
from pipelines.data.land.examine import OPENED
from pipelines.data.land.executor import Landed, LandJob
from pipelines.data.land.ledger import Ledger, is_settled
from pipelines.data.land.pseudonyms import ERASED, Pseudonyms, erased_images
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
"""Modules of `pipelines.imaging` that decide the result of a file."""
FEW_FILES = 64
"""Most files for which starting several processes takes longer than opening them."""
TASK_BYTES = 256 * 1000**2
"""Most bytes of the files of a Spark task; less if each core then has a task."""
RETRIED = ("unreadable", "out_of_memory", "unexpected_error", "process_died", "timeout")
"""Reasons that may not be the file's fault: the next landing opens the file again."""
LEDGER_BATCH = 4096
"""Files of one query to the ledger."""


@dataclass(frozen=True)
class Opener:
    """Opens files of one landing folder.

    Args:
        spec: the data set.
        context: settings and store.
        folder: the landing folder.
        names: this installation's pseudonyms.
        ledger: results of earlier landings.
    """

    spec: DatasetSpec
    context: Context
    folder: LandingFolder
    names: Pseudonyms
    ledger: Ledger

    def open(self, files: Sequence[FileState]) -> pa.Table:
        """The results of all files; files that have not changed are not opened again.

        Returns:
            `OPENED`, in any order.

        Raises:
            StoreUnavailable: the store or the landing folder does not answer.
            StackError: the process that opens files does not start.
        """
        table = Table.open(self.context, self.spec.name, Original)
        parts = table.parts()
        found = [self._known(files, table.read(parts, ["facts"])["facts"])]
        unseen, now = _without(files, found[0]["path"]), time.time()
        settled = {file.path: file for file in unseen if is_settled(file, now=now)}
        limits, erased = limits_of(self.spec.limits), erased_images(self.context, self.spec.name)
        job = LandJob(self.folder, self.names, limits, erased, self.spec.name, tuple(parts))
        for landed in self._each(unseen, job):
            table.register(landed.parts)
            self._note(landed.opened, settled)
            found.append(landed.opened)
        counts = f"{len(files):,} files, {len(unseen):,} opened"
        logger.info("%s: %s", self.folder.location, counts)
        return pa.concat_tables(found)

    def _each(self, files: Sequence[FileState], job: LandJob) -> Iterator[Landed]:
        settings = self.context.settings
        if not files:
            return
        is_small = sum(file.size for file in files) <= TASK_BYTES  # faster than starting Spark
        if not (is_small or settings.spark_is_local or isinstance(self.folder, LocalFolder)):
            yield from _by_spark(files, job, settings)
            return
        processes = 1 if len(files) <= FEW_FILES else len(os.sched_getaffinity(0))
        paths = [file.path for file in files]
        yield from executor.land(paths, job, self.context.store, processes=processes)

    def _known(self, files: Sequence[FileState], stored: pa.ChunkedArray) -> pa.Table:
        """Results in the ledger, except those whose originals are not stored."""
        location, erased = self.folder.location, erased_images(self.context, self.spec.name)
        tables = [OPENED.empty_table()]
        for start in range(0, len(files), LEDGER_BATCH):
            part = files[start : start + LEDGER_BATCH]
            texts = self.ledger.opened(location, part, version=self._version)
            rows = {path: json.loads(text) for path, text in texts.items()}
            again = {p for p, r in rows.items() if erased.has((r["sha256"], r["landed_sha256"]))}
            self.ledger.forget(location, [file for file in part if file.path in again])
            kept = [r | {"path": os.fsencode(p)} for p, r in rows.items() if p not in again]
            tables.append(pa.Table.from_pylist(kept, schema=OPENED))
        known = pa.concat_tables(tables)
        is_there = pc.is_in(known["facts"], value_set=stored.combine_chunks())
        return known.filter(pc.or_(pc.is_null(known["facts"]), is_there))

    def _note(self, opened: pa.Table, settled: dict[str, FileState]) -> None:
        """Store results in the ledger, except those to retry."""
        passing = pc.is_in(opened["reason"], value_set=pa.array([*RETRIED, ERASED]))
        rows = opened.filter(pc.invert(passing)).drop_columns(["frames"]).to_pylist()
        by_path = ((os.fsdecode(row.pop("path")), row) for row in rows)
        texts = [(settled[path], json.dumps(row)) for path, row in by_path if path in settled]
        self.ledger.note(self.folder.location, texts, version=self._version)

    @property
    def _version(self) -> str:
        return self.context.identity(self.spec.limits, examination_version())


def examination_version() -> str:
    """Version of the code and libraries that decide the result of a file."""
    stripping = (metadata, *metadata.MODULES)
    ours = (examine, deidentify, originals, *stripping, *imaging_modules(*IMAGING))
    return fingerprint(code_version(*ours), decoding_versions())


def paths_of(paths: Iterable[str]) -> pa.Array:
    """Paths as bytes, as in the column ``path``."""
    return pa.array([os.fsencode(path) for path in paths], pa.binary())


def _without(files: Sequence[FileState], known: pa.ChunkedArray) -> list[FileState]:
    """The files whose path is not in ``known``."""
    is_known = pc.is_in(paths_of(file.path for file in files), value_set=known)
    return [file for file, one in zip(files, is_known, strict=True) if not one.as_py()]


def _by_spark(files: Sequence[FileState], job: LandJob, settings: Settings) -> Iterator[Landed]:
    """The results of each Spark task, when it ends.

    Each task is a separate job, so finished ones are kept if the driver is killed.
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
    """Paths of the files of each task: one task for each core, or more of `TASK_BYTES`; none with
    fewer than `FEW_FILES`.

    Files of the same size are in one task if they fit. A task stores equal files once, but two
    tasks store equal files twice.
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
    """Open the files of one Spark task."""
    return list(executor.land(paths, job, open_store(settings), processes=1))
