"""The reference profile of a champion: what its answers look like while all is well.

    <dataset>/profiles/<id>/answers.parquet    one row an image that the model did not learn from
    <dataset>/profiles/<id>/novelty.npz        what the training images look like to the model
    <dataset>/profiles/<id>/manifest.json

The images are those of the validation and the test split: a model's answers to what it was
trained on are surer than any later ones. No pixels are kept.
"""

import io
import logging
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.data import revisions
from pipelines.data.revisions import PACK_COLUMNS, Row
from pipelines.data.split.members import KEY, members
from pipelines.errors import NotFound
from pipelines.evaluation.novelty import Novelty
from pipelines.monitoring import answers as answers_module
from pipelines.monitoring import ask as ask_module
from pipelines.monitoring.answers import Answers
from pipelines.monitoring.ask import Asked, ask
from pipelines.outputs import Profile
from pipelines.release.bundle import NOVELTY, BundleManifest, load_bundle
from pipelines.release.predictor import open_predictor
from pipelines.release.runtime import Tuning
from pipelines.stage import MANIFEST, Context, code_version, existing_output, fingerprint

logger = logging.getLogger(__name__)

ROWS = 5000
"""Images that are kept at most, drawn by chance."""
SEED = 20
TABLE = "answers.parquet"
HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Reference:
    """What a window is compared with."""

    profile: Profile
    answers: Answers
    labels: NDArray[np.int64]
    """(n,) index of the true class."""
    novelty: Novelty | None
    """``None`` for a bundle of format 1."""

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether the model decided for the true class."""
        return self.answers.decisions.right(self.labels)


def build(context: Context, folder: Path) -> Profile:
    """Make the reference profile of a bundle, unless it stands.

    Args:
        context: settings and store.
        folder: the bundle.

    Raises:
        BundleError: the bundle is not whole.
        NotFound: the snapshot or the split it comes from is gone, or has no image held out.
        StoreUnavailable: the store does not answer.
    """
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    identity = fingerprint(
        manifest.digest,
        manifest.model_version,
        ROWS,
        SEED,
        code_version(answers_module, ask_module),
    )
    path = f"{manifest.dataset}/profiles/{identity}"
    stands = existing_output(context, path, Profile)
    if stands is not None:
        return stands
    rows = held_out(context, manifest)
    predictor = open_predictor(
        folder, "openvino", cache=context.settings.cache, threads=Tuning().threads
    )
    asked = ask(context, predictor, rows)
    profile = Profile(
        dataset=manifest.dataset,
        id=identity,
        path=path,
        run_id=manifest.run_id,
        version=manifest.model_version,
        images=len(asked.labels),
    )
    with context.store.commit(path) as staging:
        context.store.write(f"{staging}/{TABLE}", _written(asked))
        if bundle.novelty is not None:
            context.store.write(f"{staging}/{NOVELTY}", (folder / NOVELTY).read_bytes())
        said = {"output": profile.model_dump(mode="json"), "classes": manifest.class_names}
        context.store.write_json(f"{staging}/{MANIFEST}", said)
    logger.info("%s: %d images make the reference profile", manifest.dataset, profile.images)
    return profile


def load(context: Context, profile: Profile) -> Reference:
    """Read a profile.

    Raises:
        NotFound: it is gone.
        StoreUnavailable: the store does not answer.
    """
    store = context.store
    said = store.read_json(f"{profile.path}/{MANIFEST}")
    table = pq.read_table(io.BytesIO(store.read(f"{profile.path}/{TABLE}")))
    answers = answers_module.of_samples(table, said["classes"])
    return Reference(
        profile=profile,
        answers=answers.known_by(tuple(table["group"].to_pylist())),
        labels=table["label"].to_numpy().astype(np.int64),
        novelty=_novelty(context, profile),
    )


def held_out(context: Context, manifest: BundleManifest) -> list[Row]:
    """Files of the snapshot that the model did not learn from, `ROWS` at most; ``patient`` is the
    cluster.

    Raises:
        NotFound: snapshot or split are gone, or nothing was held out.
    """
    snapshot = revisions.at(context, manifest.snapshot)
    rows = members(context, manifest.split, [*KEY, "split", "cluster", "label"]).to_pylist()
    divided = {(row["sha256"], row["source_path"]): row for row in rows if row["split"] in HELD_OUT}
    found = [
        {**row, "patient": divided[key]["cluster"], "label": divided[key]["label"]}
        for row in revisions.files(context, snapshot, PACK_COLUMNS).to_pylist()
        if (key := (row["sha256"], row["source_path"])) in divided
    ]
    if not found:
        raise NotFound(f"{manifest.split} holds no image out; split the newest snapshot anew.")
    return random.Random(SEED).sample(found, min(ROWS, len(found)))


def _written(asked: Asked) -> bytes:
    """The table, with the columns of a served sample and what is known besides."""
    table = answers_module.to_table(asked.answers)
    table = table.append_column("group", pa.array(asked.answers.groups, pa.string()))
    table = table.append_column("label", pa.array(asked.labels))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _novelty(context: Context, profile: Profile) -> Novelty | None:
    path = f"{profile.path}/{NOVELTY}"
    if not context.store.exists(path):
        return None
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        local = Path(folder) / NOVELTY
        context.store.download(path, local)
        return Novelty.load(local)
