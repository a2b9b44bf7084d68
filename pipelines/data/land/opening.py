"""Opening all files of a landing folder: by all cores, each file apart from the others.

A file that crashes its decoder, takes too much memory or never comes to an end costs itself a
reason, and nothing else: see `pipelines.guarded`.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipelines import guarded, imaging
from pipelines.data.folders import FileState, Source
from pipelines.data.land import deidentify, examine, metadata, originals
from pipelines.data.land.examinations import Examinations
from pipelines.data.land.examine import Examined, unopened
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.decoding import decoding_versions, imaging_modules
from pipelines.errors import BadImage
from pipelines.guarded import Died, Lost, TookTooLong
from pipelines.imaging import Limits
from pipelines.progress import track
from pipelines.stage import code_version, fingerprint

logger = logging.getLogger(__name__)

IMAGING = ("blank", "decode", "kind", "perceptual", "shades", "traces")
"""The modules of `pipelines.imaging` that say what is found in a file."""
FEW_FILES = 64
"""Up to this number, one process opens them sooner than several have started."""
SECONDS_PER_FILE = 120.0
BYTES_PER_PIXEL = 64
"""Memory that opening an image takes at most: 16-bit grey values as several float arrays."""
BYTES_PER_FILE = 1 << 30
"""The same, whatever the size of the image."""
REMEMBERED_AT_ONCE = 32
MAY_HEAL = ("unreadable", "out_of_memory", "unexpected_error", "process_died", "timeout")
"""Reasons that need not be the file's fault: the next landing opens the file again."""


@dataclass(frozen=True)
class Opener:
    """Opens files of one landing folder.

    Args:
        source: the landing folder.
        names: this installation's pseudonyms.
        limits: beyond which a file is refused.
        memory: what was found earlier; see `examination_version`.
    """

    source: Source
    names: Pseudonyms
    limits: Limits
    memory: Examinations

    def open(self, files: list[FileState]) -> dict[str, Examined]:
        """What each file holds; one that has not changed since an earlier run is not opened.

        Returns:
            Path → result.

        Raises:
            StoreUnavailable: HDFS, where the folder is, does not answer.
            StackError: the process that opens files does not start.
        """
        keys = {file.path: self.memory.key(self.source.place, file) for file in files}
        remembered = self.memory.known(key for key in keys.values() if key)
        examined = {path: remembered[key] for path, key in keys.items() if key in remembered}
        unseen = [path for path in keys if path not in examined]
        found: dict[str, Examined] = {}
        try:
            for path, result in track(self._each(unseen), total=len(unseen), what="Opening files"):
                examined[path] = found[path] = result
                if len(found) == REMEMBERED_AT_ONCE:
                    self._remember(found, keys)
                    found = {}
        finally:
            self._remember(found, keys)
        count = f"{len(files):,}"
        logger.info("%s: %s files, %s opened", self.source.place, count, f"{len(unseen):,}")
        return examined

    def forget(self, files: Iterable[FileState]) -> None:
        """Remember nothing of these files."""
        keys = (self.memory.key(self.source.place, file) for file in files)
        self.memory.forget(key for key in keys if key)

    def _each(self, paths: list[str]) -> Iterator[tuple[str, Examined]]:
        if not paths:
            return
        function = partial(_examine, self.source, self.names, self.limits)
        results = guarded.call_each(
            function,
            paths,
            processes=1 if len(paths) <= FEW_FILES else len(os.sched_getaffinity(0)),
            seconds=SECONDS_PER_FILE,
            memory=_memory(self.limits),
        )
        for path, result in results:
            yield path, self._lost(result) if isinstance(result, Lost) else result

    def _lost(self, lost: Lost[str]) -> Examined:
        refused = _refusal(lost.error)
        return unopened(self.source, lost.item, reason=refused.reason, message=str(refused))

    def _remember(self, found: dict[str, Examined], keys: dict[str, str | None]) -> None:
        lasting = {path: result for path, result in found.items() if result.reason not in MAY_HEAL}
        self.memory.remember(
            {key: result for path, result in lasting.items() if (key := keys[path])}
        )


def decode_apart(data: bytes, *, limits: Limits) -> NDArray[np.uint8]:
    """`imaging.decode` in a process of its own.

    Raises:
        BadImage: as `imaging.decode`, or the file ended that process or kept it busy.
        StackError: the process does not start.
    """
    try:
        return guarded.call_once(
            _decode, data, limits, seconds=SECONDS_PER_FILE, memory=_memory(limits)
        )
    except (Died, TookTooLong) as error:
        raise _refusal(error) from error


def _decode(data: bytes, limits: Limits) -> NDArray[np.uint8]:
    return imaging.decode(data, limits=limits)


def _memory(limits: Limits) -> int:
    return BYTES_PER_FILE + BYTES_PER_PIXEL * limits.max_pixels


def _refusal(error: Died | TookTooLong) -> BadImage:
    advice = "Save the image again in another format (PNG)."
    if isinstance(error, TookTooLong):
        message = f"Opening the file took over {SECONDS_PER_FILE:g} seconds. {advice}"
        return BadImage("timeout", message)
    return BadImage(
        "process_died",
        "The process that opened the file ended: the file crashes its decoder or takes more memory "
        f"than this machine has. {advice}",
    )


def examination_version() -> str:
    """The version of the code and libraries that decide how a file is judged and described."""
    stripping = (metadata, *metadata.MODULES)
    ours = (examine, deidentify, originals, *stripping, *imaging_modules(*IMAGING))
    return fingerprint(code_version(*ours), decoding_versions())


def _examine(source: Source, names: Pseudonyms, limits: Limits, path: str) -> Examined:
    return examine.examine(source, path, names, limits=limits)
