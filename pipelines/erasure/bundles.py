"""Bundles without erased canary images: others take their place, and the bundle is sealed again.

The answers to expect of a new canary image are those that the Keras model gave when the candidate
was evaluated: its predictions are kept beside the run. So a new image proves the bundle as the old
one did. Where no image can take the place, the bundle goes on with fewer.
"""

import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.data.restore import restore
from pipelines.decoding import decoding_versions
from pipelines.erasure.piece import COPIES, Piece
from pipelines.erasure.texts import found_in
from pipelines.erasure.traces import Traces
from pipelines.errors import NotFound
from pipelines.evaluation.record import PREDICTIONS
from pipelines.hashing import file_digest
from pipelines.release import registry, same_pixels
from pipelines.release.bundle import (
    EXPECTED,
    MANIFEST,
    Bundle,
    BundleManifest,
    CanaryImage,
    Decoding,
    file_digests,
    load_bundle,
    read_manifest,
    write_manifest,
)
from pipelines.release.card.beside import CARD_PAGE
from pipelines.retention.bundles import PART
from pipelines.retention.files import remove_folder
from pipelines.stage import Context
from pipelines.tracking import versions
from pipelines.tracking.artifacts import Artifacts
from pipelines.tracking.client import Tracking
from pipelines.tracking.versions import Registered

logger = logging.getLogger(__name__)

CANARY = "canary"


@dataclass(frozen=True)
class NewImage:
    """An image that takes the place of one."""

    expected: CanaryImage
    content: bytes


def gone_of(folder: Path, traces: Traces) -> list[str]:
    """Paths in a bundle of canary images that were erased, listed or left by an erasure that was
    cut short."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted((folder / CANARY).iterdir())
        if file_digest(path) in traces.hashes
    ]


def seal_again(bundle: Bundle, traces: Traces, new: list[NewImage]) -> None:
    """Take erased canary images out of a bundle, put others in, and seal it.

    Args:
        bundle: its folder is changed.
        traces: by what the images are known.
        new: take their place.
    """
    folder = bundle.folder
    gone = gone_of(folder, traces)
    kept = [image for image in bundle.canary if image.file not in gone]
    for name in gone:
        (folder / name).unlink()
    for one in new:
        (folder / one.expected.file).write_bytes(one.content)
    canary = sorted([*kept, *(one.expected for one in new)], key=lambda image: image.file)
    text = json.dumps([image.model_dump() for image in canary], indent=2)
    (folder / EXPECTED).write_text(text + "\n", encoding="utf-8")
    manifest = bundle.manifest
    changes: dict[str, Any] = {
        "files": file_digests(folder),
        "former_digests": (*manifest.former_digests, manifest.digest),
        "decoding": _decoding(bundle, canary),
    }
    write_manifest(folder, manifest.model_copy(update=changes))
    load_bundle(folder)


def _decoding(bundle: Bundle, canary: list[CanaryImage]) -> Decoding | None:
    """What is recorded of the canary images' pixels; of those that stay, as it was."""
    known, manifest = bundle.manifest.decoding, bundle.manifest
    if known is None:
        return None
    files = {image.file: (bundle.folder / image.file).read_bytes() for image in canary}
    new = {name: content for name, content in files.items() if name not in known.pixels}
    added = same_pixels.record(new, manifest.image, manifest.limits, bundle.finder)
    pixels = known.pixels | added.pixels
    encodings = {same_pixels.encoding(content) for content in files.values()}
    return Decoding(
        versions=known.versions,
        pixels={name: pixels[name] for name in files},
        encodings=tuple(sorted(encodings)),
    )


def local_pieces(
    context: Context, tracking: Tracking, dataset: str, traces: Traces
) -> Iterator[Piece]:
    """The local copies of bundles with an erased canary image.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    home, bundles = context.settings.home, context.settings.bundles / dataset
    known = {registry.folder_name(one): one for one in versions.every(tracking, dataset)}
    for folder in sorted(path for path in bundles.glob("*") if path.is_dir()):
        place = f"home:{folder.relative_to(home)}"
        if PART.fullmatch(folder.name):
            remove = partial(_remove_part, folder)
            yield Piece(COPIES, "bundles", place, "folders removed", 1, remove)
        elif (folder / MANIFEST).is_file() and (gone := gone_of(folder, traces)):
            renew = partial(_renew, context, folder, known.get(folder.name), traces)
            yield Piece(COPIES, "bundles", place, "canary images replaced", len(gone), renew)

    for card in sorted(bundles.glob(f"*.{CARD_PAGE}")):
        if found_in(card, traces):
            remove = partial(_remove_card, card)
            yield Piece(
                COPIES, "bundles", f"home:{card.relative_to(home)}", "files removed", 1, remove
            )


def _remove_card(card: Path) -> None:
    """Remove the copy of a model card; it is fetched again with its bundle."""
    with registry.fetching(card.parent):
        card.unlink(missing_ok=True)


def _remove_part(folder: Path) -> None:
    """Remove what a download that was killed has left."""
    with registry.fetching(folder.parent):
        remove_folder(folder)


def _renew(context: Context, folder: Path, registered: Registered | None, traces: Traces) -> None:
    """Fetch a bundle again, which MLflow has without them by now; without MLflow's, seal it."""
    if registered is not None:
        registry.fetch_again(context, registered)
        return
    with registry.fetching(folder.parent):
        part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        shutil.copytree(folder, part)
        seal_again(Bundle(part, read_manifest(part)), traces, [])
        shutil.rmtree(folder)
        part.rename(folder)


@dataclass(frozen=True)
class MlflowBundle:
    """A bundle among the artifacts of a run.

    Args:
        context: settings and store.
        artifacts: of the run.
        run_id: the run's.
        folder: of the bundle among them, with a slash at its end; empty for their root.
        traces: by what the images are known.
    """

    context: Context
    artifacts: Artifacts
    run_id: str
    folder: str
    traces: Traces

    def held(self) -> int:
        """How many of its canary images were erased."""
        with tempfile.TemporaryDirectory(prefix="medloop-") as local:
            self.artifacts.download(f"{self.folder}{CANARY}", Path(local))
            return len(gone_of(Path(local) / self.folder, self.traces))

    def seal_again(self) -> None:
        """Replace them, in MLflow.

        The manifest follows the images, so a bundle that is fetched meanwhile is refused, and what
        serves goes on serving.
        """
        with tempfile.TemporaryDirectory(prefix="medloop-") as local:
            self.artifacts.download(self.folder.rstrip("/"), Path(local))
            folder = Path(local) / self.folder
            bundle = Bundle(folder, read_manifest(folder))
            gone = gone_of(folder, self.traces)
            new = list(self._replacements(bundle, gone))
            seal_again(bundle, self.traces, new)
            for name in (*(one.expected.file for one in new), EXPECTED, MANIFEST):
                self.artifacts.upload(folder / name, f"{self.folder}{name}")
            for name in gone:
                self.artifacts.delete(f"{self.folder}{name}")

    def _replacements(self, bundle: Bundle, gone: list[str]) -> Iterator[NewImage]:
        """For each erased image, the next test image of its class."""
        manifest = bundle.manifest
        versions = decoding_versions(finder=bundle.finder is not None)
        if manifest.decoding is not None and manifest.decoding.versions != versions:
            logger.warning("%s: other decoding libraries than here: no new canary", self.run_id)
            return
        used = {file_digest(bundle.folder / image.file) for image in bundle.canary}
        used |= self.traces.hashes
        answered = self._answered(manifest)
        listed = [image for image in bundle.canary if image.file in gone]
        for number, image in enumerate(listed):
            fit = answered[(answered["label"] == image.label) & ~answered["sha256"].isin(used)]
            if fit.empty:
                logger.warning("%s: no other test image of class %s", self.run_id, image.label)
                continue
            row = {str(name): value for name, value in fit.iloc[0].items()}
            used.add(row["sha256"])
            found = self._original(manifest, str(row["sha256"]))
            if found is None:
                continue
            name = f"canary/{image.label}-after-{len(manifest.former_digests)}-{number}"
            yield NewImage(_expected(f"{name}{found.suffix}", row, manifest), found.content)

    def _answered(self, manifest: BundleManifest) -> pd.DataFrame:
        """What the Keras model answered to the test images, the least sha256 first."""
        columns = ["sha256", "label", "predicted"]
        columns += [f"probability.{name}" for name in manifest.class_names]
        with tempfile.TemporaryDirectory(prefix="medloop-") as local:
            try:
                rows = pd.read_parquet(self.artifacts.download(PREDICTIONS, Path(local)))
            except (NotFound, OSError):
                return pd.DataFrame(columns=columns)
        if not {"predicted", *columns} <= set(rows):  # of an older release
            return pd.DataFrame(columns=columns)
        test: pd.DataFrame = rows[rows["split"] == "test"]
        return test.sort_values("sha256").drop_duplicates("sha256")

    def _original(self, manifest: BundleManifest, sha256: str) -> "Found | None":
        with tempfile.TemporaryDirectory(prefix="medloop-") as local:
            try:
                first = restore(self.context, manifest.dataset, what=sha256, target=Path(local))[0]
            except NotFound:
                return None
            return Found(first.suffix.lower(), first.read_bytes())


@dataclass(frozen=True)
class Found:
    """An original of the store."""

    suffix: str
    content: bytes


def _expected(file: str, row: dict[str, Any], manifest: BundleManifest) -> CanaryImage:
    return CanaryImage(
        file=file,
        label=row["label"],
        predicted=row["predicted"],
        probabilities={name: row[f"probability.{name}"] for name in manifest.class_names},
    )
