"""The stage that looks at all prepared images with Spark, and draws what it saw.

    <dataset>/data_profiles/<id>/report.html      the page, with its pictures inside
    <dataset>/data_profiles/<id>/pictures/*.png   the same pictures
    <dataset>/data_profiles/<id>/statistics.json  split → class → shades and texture
    <dataset>/data_profiles/<id>/images.npz       <split>.<class>.mean and .std, as numbers
    <dataset>/data_profiles/<id>/sums.npz         what the next profile adds to
    <dataset>/data_profiles/<id>/manifest.json

Spark reads each image's pixels once, to sum them up; a few dozen are read to be shown. A profile
begins with the sums of the newest one of the same prepared images: it adds what came since, and
takes away what went. Texture and deep features are those of `pipelines.features`.
"""

import io
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import pipelines.profile
from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.prepare.keys import PLACED, placed
from pipelines.documents import html
from pipelines.errors import NotFound
from pipelines.evaluation.figures import save
from pipelines.features import extract, small
from pipelines.features.code import Kind
from pipelines.features.extract import Described
from pipelines.features.network import Backbone
from pipelines.outputs import SPLITS, DataProfile, Prepared
from pipelines.profile import charts, pictures, sums
from pipelines.profile.alike import closest
from pipelines.profile.facts import Facts
from pipelines.profile.page import document
from pipelines.profile.sums import Key, ShadeSums, changes, merged, packed, sum_up, unpacked
from pipelines.spark.session import spark_session
from pipelines.spec import DatasetSpec
from pipelines.stage import (
    MANIFEST,
    Context,
    code_version,
    existing_output,
    fingerprint,
    modules_of,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

PAIRS = 18
DESCRIBED: dict[Kind, Backbone | None] = {"texture": None, "deep": Backbone()}
"""Features that are drawn, and whose."""
REPORT = "report.html"
STATISTICS = "statistics.json"
FOLDER = "data_profiles"
SUMS = "sums.npz"


def run(spec: DatasetSpec, context: Context, prepared: Prepared) -> DataProfile:
    """Profile the prepared images; does nothing where the profile stands already.

    Raises:
        NotFound: the training set is gone.
        WeightsError: the weights of the network that describes the images cannot be had.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    described = [extract.name_of(prepared, kind, whose) for kind, whose in DESCRIBED.items()]
    identity = fingerprint(prepared.id, *described, spec.title, spec.class_names, _code())
    path = f"{spec.name}/{FOLDER}/{identity}"
    if (done := existing_output(context, path, DataProfile)) is not None:
        logger.info("The profile %s stands already", context.store.uri(path))
        return done
    with spark_session(context.settings, name=f"profile {spec.name}") as spark:
        facts = _gather(spark, spec, context, prepared)
    profile = DataProfile(
        dataset=spec.name,
        id=identity,
        prepared=prepared.path,
        path=path,
        images=len(facts.texture.labels),
    )
    _keep(spec, context, profile, facts, code=_sums_code(prepared))
    return profile


def _code() -> str:
    return code_version(*modules_of(pipelines.profile))


def _gather(
    spark: "SparkSession", spec: DatasetSpec, context: Context, prepared: Prepared
) -> Facts:
    rows = placed(context.store, prepared)
    texture, deep = (
        extract.read(context, extract.run(context, prepared, rows, kind=kind, backbone=whose), rows)
        for kind, whose in DESCRIBED.items()
    )
    pairs = closest(deep, pairs=PAIRS, seed=spec.split.seed)
    examples = _examples(deep, classes=len(spec.class_names))
    ids = deep.images["sha256"].tolist()
    wanted = {ids[row] for pair in pairs for row in (pair.held_out, pair.training)}
    wanted |= {sha256 for drawn in examples.values() for sha256 in drawn}
    return Facts(
        title=spec.title,
        classes=spec.class_names,
        size=spec.image.size,
        sums=_sums(spark, context, prepared, rows, size=spec.image.size),
        texture=texture,
        deep=deep,
        pairs=tuple(pairs),
        thumbnails=_thumbnails(fetch(context, prepared), wanted),
        examples=examples,
    )


def _sums(
    spark: "SparkSession", context: Context, prepared: Prepared, rows: pa.Table, *, size: int
) -> dict[Key, ShadeSums]:
    before, summed = _newest(context, prepared)
    changed = changes(summed, rows)
    if changed.num_rows > rows.num_rows:  # most of what was summed is gone
        before, changed = {}, changes(rows.slice(0, 0), rows)
    logger.info("Summing up %d of %d images", changed.num_rows, rows.num_rows)
    if not changed.num_rows:
        return before
    found = merged(before, sum_up(spark, context, prepared.images, changed, size=size))
    return {key: one for key, one in found.items() if one.images}  # a class may have left a split


def _newest(context: Context, prepared: Prepared) -> tuple[dict[Key, ShadeSums], pa.Table]:
    """The sums of the newest profile of the same prepared images, and the images in them."""
    store, folder = context.store, f"{prepared.dataset}/{FOLDER}"
    paths = [f"{folder}/{name}" for name in store.names(folder)]
    for path in sorted(paths, key=lambda path: store.modified(f"{path}/{MANIFEST}"), reverse=True):
        manifest = store.read_json(f"{path}/{MANIFEST}")
        if manifest.get("sums") != _sums_code(prepared):
            continue
        try:
            earlier = existing_output(context, manifest["output"]["prepared"], Prepared)
            if earlier is not None:
                return unpacked(store.read(f"{path}/{SUMS}")), placed(store, earlier)
        except NotFound:  # images of it were erased or removed
            continue
    return {}, PLACED.empty_table()


def _sums_code(prepared: Prepared) -> str:
    """What sums must have in common to be added up."""
    return fingerprint(prepared.images, code_version(sums, small))


def _examples(described: Described, *, classes: int) -> dict[int, list[str]]:
    """Label → the training images with the least sha256: a fair draw, the same each time."""
    train = described.of("train").images.sort_values("sha256")
    return {
        label: train.loc[train["label"] == label, "sha256"].head(pictures.SHOWN).tolist()
        for label in range(classes)
    }


def _thumbnails(data: TrainingSet, wanted: set[str]) -> dict[str, NDArray[np.uint8]]:
    found: dict[str, NDArray[np.uint8]] = {}
    for split in map(data.split, SPLITS):
        ids = split.column("sha256")
        places = np.flatnonzero([one in wanted for one in ids])
        found |= dict(zip(ids[places], split.pixels(places), strict=True))
    return found


def _keep(
    spec: DatasetSpec, context: Context, profile: DataProfile, facts: Facts, *, code: str
) -> None:
    store = context.store
    with tempfile.TemporaryDirectory(prefix="medloop-") as name, store.commit(profile.path) as part:
        folder = Path(name)
        deep_map, _ = charts.deep_map(facts, seed=spec.split.seed)
        drawn = {
            "means": pictures.means(facts),
            "differences": pictures.differences(facts),
            "montage": pictures.montage(facts),
            "histograms": pictures.histograms(facts),
            "textures": charts.textures(facts),
            "deep_map": deep_map,
            "alike": pictures.alike(facts),
        }
        for picture, figure in drawn.items():
            file = save(figure, folder / f"{picture}.png")
            store.upload(file, f"{part}/pictures/{file.name}")
        page = html.page(document(facts, folder, synthetic=spec.synthetic))
        store.write(f"{part}/{REPORT}", page.encode())
        store.write_json(f"{part}/{STATISTICS}", facts.statistics())
        arrays = io.BytesIO()
        np.savez_compressed(arrays, allow_pickle=False, **facts.arrays())
        store.write(f"{part}/images.npz", arrays.getvalue())
        store.write(f"{part}/{SUMS}", packed(facts.sums))
        about = {"output": profile.model_dump(mode="json"), "sums": code}
        store.write_json(f"{part}/{MANIFEST}", about)
