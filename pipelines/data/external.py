"""External collections: images from elsewhere that evaluate a model and never train it.

Each is landed, checked and packed like a data set, into its own snapshots,
``<dataset>_<collection>/snapshots``. No split or training reads them.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.data import revisions
from pipelines.data.duplicates.descriptors import stacked
from pipelines.data.duplicates.duplicates import near_pairs
from pipelines.data.land import ingest, landing
from pipelines.data.prepare.executor import ACCEPTED, accepted_image
from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS, Row, latest
from pipelines.errors import NotFound, SpecError
from pipelines.imaging import Finder, crop_box, decode, fit
from pipelines.outputs import Snapshot
from pipelines.spec import DatasetSpec, ExternalSpec
from pipelines.stage import Context


def spec_of(spec: DatasetSpec, external: ExternalSpec) -> DatasetSpec:
    """The spec of a collection as a data set, with those of our classes that it has."""
    shown = external.labels or {c.name: c.landing_labels for c in spec.classes}
    classes = tuple(
        c.model_copy(update={"labels": shown[c.name]}) for c in spec.classes if c.name in shown
    )
    return DatasetSpec(
        name=f"{spec.name}_{external.name}",
        title=external.title,
        synthetic=spec.synthetic,
        source=external.source,
        landing=external.landing,
        classes=classes,
        image=spec.image.without_lesion_crop,
        limits=spec.limits,
        duplicates=spec.duplicates,
        candidates=spec.candidates,
    )


def named(spec: DatasetSpec, name: str) -> ExternalSpec:
    """The collection with a name.

    Raises:
        SpecError: it does not exist.
    """
    for external in spec.external:
        if external.name == name:
            return external
    known = ", ".join(external.name for external in spec.external) or "none"
    raise SpecError(f"{spec.name} names no external collection {name!r}; it names {known}.")


def spec_named(name: str, specs: Iterable[DatasetSpec]) -> DatasetSpec:
    """The spec of an external collection, by its data set name in the store.

    Raises:
        NotFound: it does not exist.
    """
    found = {
        one.name: one
        for spec in specs
        for external in spec.external
        for one in [spec_of(spec, external)]
    }
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise NotFound(
            f"There is no data set {name!r}, nor an external collection; those: {known}."
        )
    return found[name]


def run(spec: DatasetSpec, context: Context, name: str, source: str) -> Snapshot:
    """Add a landing folder to an external collection.

    Raises:
        SpecError: the spec names no such collection.
        LandingError: the folder is missing or empty, or does not have the layout of the spec.
        StoreUnavailable: the store does not answer.
    """
    theirs = spec_of(spec, named(spec, name))
    return ingest.run(theirs, context, landing.run(theirs, context, source))


def snapshots(spec: DatasetSpec, context: Context) -> dict[str, Snapshot]:
    """Collection → its newest snapshot, if it has one."""
    found = {e.name: latest(context, spec_of(spec, e).name) for e in spec.external}
    return {name: snapshot for name, snapshot in found.items() if snapshot is not None}


def unseen(spec: DatasetSpec, context: Context, snapshot: Snapshot, ours: Snapshot) -> list[Row]:
    """The images of a collection without near duplicates in the data set, by sha256: the columns
    `PACK_COLUMNS`, ``label`` and ``patient``.

    Args:
        spec: the data set, with the thresholds for near duplicates.
        context: settings and store.
        snapshot: of the collection.
        ours: snapshot of all images that the model may be trained on.
    """
    columns = ["sha256", "thumbnail"]
    theirs = revisions.state(context, snapshot, columns)
    known = revisions.state(context, ours, columns)
    others = known.filter(pc.invert(pc.is_in(known["sha256"], value_set=theirs["sha256"])))
    new = np.arange(len(theirs) + len(others)) < len(theirs)
    both = pa.concat_tables([theirs, others])
    pairs = near_pairs(stacked(both["thumbnail"].to_pylist()), spec.duplicates, new=new)
    alike = {*both["sha256"].take(pa.array(_crossing(pairs, len(theirs)), pa.int64())).to_pylist()}
    alike |= set(known["sha256"].to_pylist())
    listed = revisions.files(context, snapshot, [*PACK_COLUMNS, "label", "patient"]).to_pylist()
    once = {row["sha256"]: row for row in listed if row["sha256"] not in alike}
    return [row for _, row in sorted(once.items())]


def _crossing(pairs: pd.DataFrame, count: int) -> list[int]:
    """Positions below ``count`` that are paired with a position from ``count`` on."""
    crossing = pairs[(pairs["first"] < count) & (pairs["second"] >= count)]
    return [int(position) for position in crossing["first"].unique()]


def images_of(
    spec: DatasetSpec, context: Context, rows: list[Row], *, find: Finder | None = None
) -> Iterator[tuple[Row, NDArray[np.uint8]]]:
    """Each image, prepared for the models of the data set, uint8 (size, size, 3); sorted by pack.

    Args:
        spec: the data set.
        context: settings and store.
        rows: rows of the collection.
        find: finds the lesions, if the spec crops to lesions.

    Raises:
        BadImage: an accepted image cannot be decoded; names its path.
    """
    for row, content in originals(context, rows):
        with accepted_image(row["source_path"]):
            decoded = decode(content, limits=ACCEPTED)
            fitted = fit(decoded, spec.image, crop_box(decoded, spec.image, find))
        yield row, fitted
