"""The same images give the same model to the last bit, however many deliveries brought them."""

import shutil
from collections import defaultdict
from pathlib import Path

import keras
import numpy as np

from pipelines.data import revisions
from pipelines.data.input.cache import fetch
from pipelines.data.land import ingest, landing
from pipelines.data.prepare import prepare
from pipelines.data.prepare.listings import listed
from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS
from pipelines.data.split import split
from pipelines.outputs import Prepared
from pipelines.phantom.landing import PhantomReport, generate
from pipelines.settings import Settings
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.training.train import train
from tests.pipelines.data.without_spark import prepare_here
from tests.pipelines.training.small_sets import candidate

SIZE = 64
DELIVERIES = 2
SEED = 1
"""Of phantoms of which each class has a test image in the first delivery."""


def spec() -> DatasetSpec:
    shipped = load_spec("phantom")
    image = shipped.image.model_copy(update={"size": SIZE})
    landing = shipped.landing.model_copy(update={"masks": None})
    return shipped.model_copy(update={"image": image, "landing": landing})


def delivered(context: Context, folder: Path) -> Prepared:
    """What a retraining prepares from the landing folder as it is now: what is new, and no more."""
    snapshot = ingest.run(spec(), context, landing.run(spec(), context, str(folder)))
    kept = listed(context.store, prepare.prepared_images(spec(), context).path)
    rows = revisions.files(context, snapshot, ["sha256", *PACK_COLUMNS]).to_pylist()
    new = {
        row["sha256"]: content
        for row, content in originals(context, rows)
        if row["sha256"] not in set(kept["sha256"])
    }
    division = split.run(spec(), context, snapshot)
    return prepare_here(context, spec(), snapshot, division, new)


def weights(context: Context, prepared: Prepared, folder: Path) -> list[np.ndarray]:
    done = train(
        candidate(epochs=2, augment="strong", mixup=0.2, balance="class_sampling"),
        fetch(context, prepared),
        seed=3,
        workdir=folder,
        on_epoch=lambda *_: None,
    )
    found: list[np.ndarray] = keras.saving.load_model(done.path, compile=False).get_weights()
    return found


def deliveries(drawn: Path, report: PhantomReport) -> list[list[Path]]:
    """The files of a landing folder, those of one subject (and copies of them) together: what
    comes to the test set later would be a leak."""
    copies = report.exact_copies | report.near_copies
    original = {Path(copy).stem: Path(of).stem for copy, of in copies.items()}
    by_subject: defaultdict[str, list[Path]] = defaultdict(list)
    for file in sorted(file.relative_to(drawn) for file in drawn.rglob("*.*")):
        by_subject[original.get(file.stem, file.stem).partition("_")[0]].append(file)
    subjects = sorted(by_subject)
    return [
        [file for subject in subjects[first::DELIVERIES] for file in by_subject[subject]]
        for first in range(DELIVERIES)
    ]


def test_one_delivery_and_several_give_the_same_model(tmp_path: Path) -> None:
    drawn, growing = tmp_path / "drawn", tmp_path / "landing"
    parts = deliveries(drawn, generate(drawn, seed=SEED, images=60, size=SIZE))
    at_once, in_turn = (
        Context(settings=settings, store=open_store(settings))
        for settings in (
            Settings(home=tmp_path / "home", store=(tmp_path / name).as_uri())
            for name in ("at-once", "in-turn")
        )
    )
    for part in parts:
        for file in part:
            (growing / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(drawn / file, growing / file)
        last = delivered(in_turn, growing)
    whole = delivered(at_once, growing)

    assert last.id == whole.id
    assert len(in_turn.store.names(f"{last.images}/parts")) == DELIVERIES
    assert len(at_once.store.names(f"{whole.images}/parts")) == 1
    one = weights(at_once, whole, tmp_path / "one")
    shutil.rmtree(at_once.settings.cache)
    other = weights(in_turn, last, tmp_path / "other")
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
