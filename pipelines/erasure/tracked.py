"""What MLflow holds of images, by kind of file.

Parquet, JSON, CSV                          rows and elements that name an image go
bundle                                      see `pipelines.erasure.bundles`
of a run on images that held one of them:
    PNG that is not one of the charts       deleted: galleries, montages, maps
    HTML                                    such pictures are taken out of the page
    example of a model's input              deleted: it may be an image
all else (weights, charts, figures)         stays; the certificate says so
"""

import base64
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.erasure import parquet, texts
from pipelines.erasure.bundles import MlflowBundle
from pipelines.erasure.piece import COPIES, Piece
from pipelines.erasure.stored import gone_page
from pipelines.erasure.traces import Traces
from pipelines.profile.publish import SHOWN
from pipelines.release.bundle import EXPECTED
from pipelines.stage import Context
from pipelines.tracking import artifacts, runs
from pipelines.tracking.artifacts import Artifacts
from pipelines.tracking.client import Tracking

CHART = re.compile(
    r"confusion_matrix|roc|precision_recall|reliability|risk_coverage|thresholds|external_.+"
    r"|learning_curves?|search|folds|feature_importance|abstention|decision_curve|subgroups"
    r"|deletion_insertion"
)
"""Names of pictures that are drawn from figures, not from images; any other may show an image."""
EXAMPLE = re.compile(r".*input_example(_metadata)?\.(json|npy|bin)")
EMBEDDED = re.compile(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)")
NOTHING = b"data:,"


@dataclass(frozen=True)
class Place:
    """Artifacts of one run, or of a model that it logged."""

    run_id: str
    artifacts: Artifacts
    shows: bool
    """Whether the run used images that held one of those that go."""

    def files(self) -> list[str]:
        """Paths of all files."""
        return list(self.artifacts.files())


@dataclass(frozen=True)
class Tracked:
    """What MLflow holds of the images of one erasure.

    Args:
        context: settings and store.
        tracking: where to look.
        dataset: whose experiments.
        traces: by what the images are known.
        names: this installation's pseudonyms.
        held: whether prepared images, by their store path, held one of them, or are gone.
    """

    context: Context
    tracking: Tracking
    dataset: str
    traces: Traces
    names: Pseudonyms
    held: Callable[[str], bool]

    def pieces(self) -> Iterator[Piece]:
        """All that has to change.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        for experiment in artifacts.experiments(self.tracking, self.dataset):
            found = runs.every(self.tracking, experiment, condition="")
            shows = {run.info.run_id: self._shows(run.data.tags) for run in found}
            for run in found:
                run_id = run.info.run_id
                place = Place(
                    run_id, Artifacts(self.tracking, run.info.artifact_uri), shows[run_id]
                )
                yield from self._of(place)
                if place.shows and SHOWN in run.data.tags:
                    untag = partial(self._untag, run_id)
                    yield self._piece(place, SHOWN, "marks removed", 1, untag)
            models = artifacts.of_models(self.tracking, experiment, found)
            for run_id, uri in models:
                yield from self._of(Place(run_id, Artifacts(self.tracking, uri), shows[run_id]))

    def _shows(self, tags: dict[str, str]) -> bool:
        prepared = tags.get("medloop.prepared")
        return prepared is not None and self.held(prepared)

    def _untag(self, run_id: str) -> None:
        """So the next profile of these images is logged."""
        with self.tracking.reaching() as client:
            client.delete_tag(run_id, SHOWN)

    def _of(self, place: Place) -> Iterator[Piece]:
        paths = place.files()
        sealed = [path.removesuffix(EXPECTED) for path in paths if path.endswith(EXPECTED)]
        for folder in sealed:
            bundle = MlflowBundle(self.context, place.artifacts, place.run_id, folder, self.traces)
            if count := bundle.held():
                seal = bundle.seal_again
                yield self._piece(place, folder.rstrip("/"), "canary images replaced", count, seal)
        others = [path for path in paths if not path.startswith(tuple(sealed) or "\0")]
        tables = [piece for path in others for piece in self._table(place, path)]
        # A run without tags shows what it has answers of: so these go last.
        place = replace(place, shows=place.shows or bool(tables))
        for path in others:
            yield from self._file(place, path, charts=paths)
        yield from tables

    def _file(self, place: Place, path: str, *, charts: list[str]) -> Iterator[Piece]:
        pure = PurePosixPath(path)
        may_show = pure.suffix == ".png" and not _is_chart(path)
        if place.shows and (may_show or EXAMPLE.fullmatch(path)):
            delete = partial(place.artifacts.delete, path)
            yield self._piece(place, path, "files removed", 1, delete)
        elif pure.suffix in (".json", ".csv"):
            without = texts.json_without if pure.suffix == ".json" else texts.csv_without
            content = _read(place, path)
            if self.traces.pattern.search(content):
                left, count = without(content, self.traces)
                yield self._piece(
                    place, path, "elements removed", count, partial(_write, place, path, left)
                )
        elif pure.suffix == ".html":
            yield from self._page(place, path, charts)

    def _table(self, place: Place, path: str) -> Iterator[Piece]:
        if not path.endswith(".parquet"):
            return
        with (
            tempfile.TemporaryDirectory(prefix="medloop-") as folder,
            pq.ParquetFile(place.artifacts.download(path, Path(folder))) as file,
        ):
            held = parquet.held(file, self.traces)
        if held:
            rewrite = partial(self._rewrite, place, path)
            yield self._piece(place, path, "rows removed", held.rows or held.names, rewrite)

    def _rewrite(self, place: Place, path: str) -> None:
        with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
            target = Path(folder) / "new" / PurePosixPath(path).name
            target.parent.mkdir()
            with pq.ParquetFile(place.artifacts.download(path, Path(folder))) as file:
                parquet.rewrite(file, target, self.traces, rename=self._rename)
            place.artifacts.upload(target, path)

    def _rename(self, cluster: str) -> str:
        return self.names.of("cluster", cluster)

    def _page(self, place: Place, path: str, charts: list[str]) -> Iterator[Piece]:
        content = _read(place, path)
        if place.shows and EMBEDDED.search(content):
            kept = {
                hashlib.sha256(_read(place, chart)).hexdigest()
                for chart in charts
                if _is_chart(chart)
            }
            left, count = _without_pictures(content, kept)
        else:
            left, count = content, 0
        if self.traces.pattern.search(left):
            left, count = gone_page().encode(), 1
        if count:
            yield self._piece(
                place, path, "pictures removed", count, partial(_write, place, path, left)
            )

    def _piece(
        self, place: Place, path: str, how: str, count: int, remove: Callable[[], None]
    ) -> Piece:
        return Piece(COPIES, "MLflow", f"mlflow:{place.run_id}/{path}", how, count, remove)


def _is_chart(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix == ".png" and CHART.fullmatch(pure.stem) is not None


def _without_pictures(content: bytes, kept: set[str]) -> tuple[bytes, int]:
    """A page without the pictures in it, but for those with one of these hashes; how many went."""
    gone = 0

    def drop(match: re.Match[bytes]) -> bytes:
        nonlocal gone
        if hashlib.sha256(base64.b64decode(match[1])).hexdigest() in kept:
            return match[0]
        gone += 1
        return NOTHING

    return EMBEDDED.sub(drop, content), gone


def _read(place: Place, path: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        return place.artifacts.download(path, Path(folder)).read_bytes()


def _write(place: Place, path: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        local = Path(folder) / PurePosixPath(path).name
        local.write_bytes(content)
        place.artifacts.upload(local, path)
