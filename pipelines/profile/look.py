"""The stage that looks at all prepared images with Spark, and draws what it saw.

    <dataset>/data_profiles/<id>/report.html      the page, with its pictures inside
    <dataset>/data_profiles/<id>/pictures/*.png   the same pictures
    <dataset>/data_profiles/<id>/statistics.json  split → class → shades and texture
    <dataset>/data_profiles/<id>/images.npz       <split>.<class>.mean and .std, as numbers
    <dataset>/data_profiles/<id>/manifest.json

Spark reads the pixels once, to sum them up; a few dozen are read to be shown. Texture and deep
features are those of `pipelines.features`, which stay in the store for whoever needs them next.
"""

import io
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import pipelines.profile
from pipelines.data.input.cache import fetch
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.prepare.frame import frame
from pipelines.data.prepare.keys import placed
from pipelines.documents import html
from pipelines.evaluation.figures import save
from pipelines.features import extract
from pipelines.features.code import Kind
from pipelines.features.extract import Described
from pipelines.features.network import Backbone
from pipelines.outputs import SPLITS, DataProfile, Prepared
from pipelines.profile import charts, pictures
from pipelines.profile.alike import closest
from pipelines.profile.facts import Facts
from pipelines.profile.page import document
from pipelines.profile.sums import sum_up
from pipelines.spark.session import spark_session, told
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, code_version, fingerprint, modules_of, standing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

PAIRS = 18
DESCRIBED: dict[Kind, Backbone | None] = {"texture": None, "deep": Backbone()}
"""Features that are drawn, and whose."""
REPORT = "report.html"
STATISTICS = "statistics.json"


def run(spec: DatasetSpec, context: Context, prepared: Prepared) -> DataProfile:
    """Profile the prepared images; does nothing where the profile stands already.

    Raises:
        NotFound: the training set is gone.
        WeightsError: the weights of the network that describes the images cannot be had.
        StackError: Java is missing, or Spark does not start.
        StoreUnavailable: the store does not answer.
    """
    described = [extract.name_of(prepared, kind, whose) for kind, whose in DESCRIBED.items()]
    identity = fingerprint(*described, spec.title, spec.class_names, _code())
    path = f"{spec.name}/data_profiles/{identity}"
    if (done := standing(context, path, DataProfile)) is not None:
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
    _keep(spec, context, profile, facts)
    return profile


def _code() -> str:
    return code_version(*modules_of(pipelines.profile))


def _gather(
    spark: "SparkSession", spec: DatasetSpec, context: Context, prepared: Prepared
) -> Facts:
    texture, deep = (
        extract.read(context, extract.run(spec, context, prepared, kind=kind, backbone=whose))
        for kind, whose in DESCRIBED.items()
    )
    size = spec.image.size
    images = frame(spark, context, prepared, placed(context.store, prepared))
    with told(spark, what=f"Profiling {spec.name}", tasks=images.rdd.getNumPartitions()):
        sums = sum_up(images, size=size)
    pairs = closest(deep, pairs=PAIRS, seed=spec.split.seed)
    examples = _examples(deep, classes=len(spec.class_names))
    ids = deep.images["sha256"].tolist()
    wanted = {ids[row] for pair in pairs for row in (pair.held_out, pair.training)}
    wanted |= {sha256 for drawn in examples.values() for sha256 in drawn}
    return Facts(
        title=spec.title,
        classes=spec.class_names,
        size=size,
        sums=sums,
        texture=texture,
        deep=deep,
        pairs=tuple(pairs),
        thumbnails=_thumbnails(fetch(context, prepared), wanted),
        examples=examples,
    )


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


def _keep(spec: DatasetSpec, context: Context, profile: DataProfile, facts: Facts) -> None:
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
        store.write_json(f"{part}/{MANIFEST}", {"output": profile.model_dump(mode="json")})
