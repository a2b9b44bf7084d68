"""From a landing folder to a training set."""

import io
import logging
from pathlib import Path
from typing import Literal, TextIO

from pydantic import validate_call

from pipelines.loop.opening import opened, step
from pipelines.outputs import CheckReport, Enough, Landing, Prepared, Snapshot, Split, Waker
from pipelines.settings import get_settings
from pipelines.spec import load_spec
from pipelines.stage import default_context, used

logger = logging.getLogger(__name__)


def landing_folder(dataset: str, named: str | None = None) -> str:
    """Where the images of a run are: the named folder, or the data set's own; a path or URI."""
    from pipelines.data.folders import landing_location, location_of

    return location_of(named) if named else landing_location(load_spec(dataset), get_settings())


@validate_call
@step
def land(dataset: str, source: str | None = None, fresh: str | None = None) -> Landing:
    """Open, judge and pack every file of a landing folder (the data set's own if none is named)."""
    from pipelines.data.land import landing

    spec, context = opened(dataset, fresh=fresh)
    landed = landing.run(spec, context, source or landing_folder(dataset))
    used(context, landed.path)
    return landed


@validate_call
@step
def check_landing(dataset: str, landing: Landing, fresh: str | None = None) -> CheckReport:
    """Hold the landed files against ``expectations/landing.py``."""
    from pipelines.data.checks import checks

    spec, context = opened(dataset, fresh=fresh)
    return checks.check_landing(spec, context, landing)


@validate_call
@step
def ingest(dataset: str, landing: Landing) -> Snapshot:
    """Make an immutable snapshot of what was accepted, and list the rest in quarantine."""
    from pipelines.data.land import ingest

    spec, context = opened(dataset)
    return ingest.run(spec, context, landing)


def quarantine(dataset: str, file: TextIO) -> None:
    """Write the files that were refused as CSV."""
    from pipelines.data.land import quarantine

    spec, context = opened(dataset)
    quarantine.write(context, spec.name, file)


def locate(dataset: str, place: str, source_path: str) -> str:
    """The path, below a landing folder, of the file that is listed as ``source_path``.

    Raises:
        LandingError: the folder has no such file.
    """
    from pipelines.data.folders import open_folder
    from pipelines.data.land.originals import LandedFiles
    from pipelines.data.land.pseudonyms import load_pseudonyms

    spec, context = opened(dataset)
    source = open_folder(context.settings, place)
    files = LandedFiles(spec, source, load_pseudonyms(context.settings))
    return files.relative(source_path)


@step
def ingest_external(dataset: str, name: str, source: str) -> Snapshot:
    """Add a landing folder to an external collection; see `pipelines.data.external`."""
    from pipelines.data import external

    spec, context = opened(dataset)
    return external.run(spec, context, name, source)


@validate_call
@step
def enough(dataset: str, snapshot: Snapshot, woken_by: Waker) -> Enough:
    """Count the images that the champion has not seen; are they enough to train anew?

    Only asked of runs that the landing folder woke: all others go on whatever the answer.
    """
    from pipelines.data import enough

    spec, context = opened(dataset)
    return enough.run(spec, context, snapshot, woken_by=woken_by)


@validate_call
def proceed(enough: Enough) -> Literal["split", "too_few"]:
    """Which way a run goes after its images are in the snapshot."""
    return "split" if enough.enough else "too_few"


@validate_call
def too_few(dataset: str, enough: Enough) -> None:
    """Say that the new images are kept, but too few to train for."""
    logger.info("%s: %s; they are in the snapshot, nothing is trained", dataset, enough.said)


def latest_snapshot(dataset: str) -> Snapshot:
    """The newest snapshot.

    Raises:
        NotFound: nothing was ingested yet.
    """
    from pipelines.data import revisions

    return revisions.require(default_context(), dataset)


@validate_call
@step
def split(dataset: str, snapshot: Snapshot, fresh: str | None = None) -> Split:
    """Find duplicates and divide groups into training, validation and test."""
    from pipelines.data.split import split

    spec, context = opened(dataset, fresh=fresh)
    return split.run(spec, context, snapshot)


@step
def leak_report(dataset: str) -> Path:
    """A local copy of the newest split's report: what was copied, what leaked, in pictures."""
    _, context = opened(dataset)
    report = context.settings.home / "reports" / f"{dataset}-leaks.html"
    context.store.download(f"{split(dataset, latest_snapshot(dataset)).path}/report.html", report)
    return report


@validate_call
@step
def check_snapshot(dataset: str, snapshot: Snapshot, split: Split) -> CheckReport:
    """Hold a snapshot and its split against ``expectations/snapshot.py``."""
    from pipelines.data.checks import checks

    spec, context = opened(dataset)
    return checks.check_snapshot(spec, context, snapshot, split)


@validate_call
@step
def prepare(dataset: str, snapshot: Snapshot, split: Split, fresh: str | None = None) -> Prepared:
    """Prepare images with Spark.

    Where they are cropped to lesions, the networks that find those are trained first.
    """
    from pipelines.data.prepare import prepare

    spec, context = opened(dataset, fresh=fresh)
    found = None
    if spec.image.crop == "lesion":
        from pipelines.segmentation import segmenter

        found = segmenter.run(spec, context, snapshot, split)
    prepared = prepare.run(spec, context, snapshot, split, found)
    used(context, prepared.path)
    used(context, prepared.images)
    return prepared


@validate_call
@step
def check_prepared(dataset: str, prepared: Prepared) -> CheckReport:
    """Hold a training set against ``expectations/prepared.py``."""
    from pipelines.data.checks import checks

    spec, context = opened(dataset)
    return checks.check_prepared(spec, context, prepared)


@step
def example(dataset: str, place: str, label: str) -> Path:
    """A local file of the first accepted image, by path, of one class of a landing folder."""
    import pandas as pd

    from pipelines.data.folders import open_folder
    from pipelines.data.land.originals import LandedFiles
    from pipelines.data.land.pseudonyms import load_pseudonyms

    spec, context = opened(dataset)
    landing = land(spec.name, place)
    with context.store.open(f"{landing.path}/files.parquet") as file:
        files = pd.read_parquet(io.BytesIO(file.read()), columns=["source_path", "label", "reason"])
    accepted = files.loc[(files["label"] == label) & files["reason"].isna(), "source_path"]
    source = open_folder(context.settings, place)
    landed = LandedFiles(spec, source, load_pseudonyms(context.settings))
    return source.local(landed.relative(min(accepted)), context.settings.cache / "examples")
