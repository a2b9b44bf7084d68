"""External collections: images from elsewhere, to judge a model by and never to train it on.

Each is landed, checked file by file and packed as a data set's own images are, into snapshots of
its own, ``<dataset>_<collection>/snapshots``; no split or training ever reads those.
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
from pipelines.data.revisions import PLACE, Row, latest
from pipelines.errors import NotFound, SpecError
from pipelines.imaging import Finder, crop_box, decode, fit
from pipelines.outputs import Snapshot
from pipelines.spec import DatasetSpec, ExternalSpec
from pipelines.stage import Context


def spec_of(spec: DatasetSpec, external: ExternalSpec) -> DatasetSpec:
    """The collection as a data set of its own, with those of our classes that it shows."""
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
    """The collection called ``name``.

    Raises:
        SpecError: there is none.
    """
    for external in spec.external:
        if external.name == name:
            return external
    known = ", ".join(external.name for external in spec.external) or "none"
    raise SpecError(f"{spec.name} names no external collection {name!r}; it names {known}.")


def spec_named(name: str, specs: Iterable[DatasetSpec]) -> DatasetSpec:
    """The spec of an external collection, by the name it has in the store.

    Raises:
        NotFound: there is none.
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
        LandingError: the folder is missing, empty or not laid out as the spec says.
        StoreUnavailable: the store does not answer.
    """
    theirs = spec_of(spec, named(spec, name))
    return ingest.run(theirs, context, landing.run(theirs, context, source))


def snapshots(spec: DatasetSpec, context: Context) -> dict[str, Snapshot]:
    """Collection → its newest snapshot; those that were never ingested are left out."""
    found = {e.name: latest(context, spec_of(spec, e).name) for e in spec.external}
    return {name: snapshot for name, snapshot in found.items() if snapshot is not None}


def unseen(spec: DatasetSpec, context: Context, snapshot: Snapshot, ours: Snapshot) -> list[Row]:
    """The collection's pictures that are not ours too, each once, by sha256: the columns `PLACE`,
    ``label`` and ``patient``.

    Args:
        spec: of the data set; its rule tells what is the same picture.
        context: settings and store.
        snapshot: of the collection.
        ours: whatever the model may have learnt from.
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
    listed = revisions.files(context, snapshot, [*PLACE, "label", "patient"]).to_pylist()
    once = {row["sha256"]: row for row in listed if row["sha256"] not in alike}
    return [row for _, row in sorted(once.items())]


def _crossing(pairs: pd.DataFrame, count: int) -> list[int]:
    """Positions below ``count`` that are paired with one from there on."""
    crossing = pairs[(pairs["first"] < count) & (pairs["second"] >= count)]
    return [int(position) for position in crossing["first"].unique()]


def pictures(
    spec: DatasetSpec, context: Context, rows: list[Row], *, find: Finder | None = None
) -> Iterator[tuple[Row, NDArray[np.uint8]]]:
    """Each image as the data set's models see it, uint8 (size, size, 3); in the store's order.

    Args:
        spec: of the data set.
        context: settings and store.
        rows: of the collection.
        find: finds the lesions to crop to, where the spec says so.

    Raises:
        BadImage: names an image that cannot be used any more.
    """
    for row, content in originals(context, rows):
        with accepted_image(row["source_path"]):
            picture = decode(content, limits=ACCEPTED)
            fitted = fit(picture, spec.image, crop_box(picture, spec.image, find))
        yield row, fitted
