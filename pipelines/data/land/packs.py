"""Where originals are stored: ``<dataset>/packs/<id>/images-00000.parquet`` and so on.

A folder holds what one landing has added, and its manifest lists the packs. It is named by the
images in it, so a landing that was killed finds what it has packed already.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.data.land.originals import LandedFiles
from pipelines.data.packing import Original, Pack, deliver, pack
from pipelines.progress import track
from pipelines.stage import MANIFEST, fingerprint
from pipelines.storage import Store

Place = tuple[str, int]
"""Store path of a pack, and the row in it."""


@dataclass(frozen=True)
class ToPack:
    """A landed file whose bytes are not stored yet."""

    sha256: str
    source_path: str
    label: str | None
    format: str | None


@dataclass(frozen=True)
class Packs:
    """Packs the files of a landing folder."""

    store: Store
    folder: str
    """Of the packs, in the store."""
    files: LandedFiles
    work: Path
    """A local folder to pack in."""

    def keep(self, new: Sequence[ToPack], *, name: str) -> dict[str, Place]:
        """Store files, each read back and hashed.

        Args:
            new: the files, each sha256 once.
            name: what the packs' names begin with.

        Returns:
            sha256 → where it is.

        Raises:
            LandingError: a file is gone or has changed since it was landed.
            StoreUnavailable: the store does not answer, or altered the bytes.
        """
        if not new:
            return {}
        ordered = sorted(new, key=lambda one: (one.source_path, one.sha256))
        path = f"{self.folder}/{fingerprint(name, [one.sha256 for one in ordered])}"
        if self.store.exists(f"{path}/{MANIFEST}"):
            return dict(self._held(path))
        places: dict[str, Place] = {}
        packs = []
        with self.store.commit(path) as staging:
            for done in self._packed(ordered, name=name):
                file = done.local.name
                deliver(self.store, done, f"{staging}/{file}")
                places |= {s: (f"{path}/{file}", row) for row, s in enumerate(done.sha256s)}
                packs.append({"name": f"{path}/{file}", **_described(done)})
            self.store.write_json(f"{staging}/{MANIFEST}", {"files": packs})
        return places

    def _packed(self, ordered: Sequence[ToPack], *, name: str) -> Iterator[Pack]:
        read = self.files.read_each(asdict(one) for one in ordered)
        originals = (Original(**row, content=content) for row, content in read)
        return pack(
            track(originals, total=len(ordered), what=f"Packing {name}"), self.work, name=name
        )

    def _held(self, path: str) -> Iterator[tuple[str, Place]]:
        """Where a folder that is in the store already has its files."""
        for listed in listed_in(self.store, path):
            content = io.BytesIO(self.store.read(listed["name"]))
            sha256s = pq.read_table(content, columns=["sha256"])["sha256"].to_pylist()
            for row, sha256 in enumerate(sha256s):
                if sha256:  # or it was erased
                    yield sha256, (listed["name"], row)


def listed_in(store: Store, folder: str) -> list[dict[str, Any]]:
    """The packs of a folder: store path (``name``), ``bytes``, ``sha256`` and ``images``."""
    listed: list[dict[str, Any]] = store.read_json(f"{folder}/{MANIFEST}")["files"]
    return listed


def _described(done: Pack) -> dict[str, Any]:
    return {"bytes": done.bytes, "sha256": done.sha256, "images": len(done.sha256s)}
