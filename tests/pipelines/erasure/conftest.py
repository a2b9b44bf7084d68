"""An installation with a data set that came through the data stages, made once and copied."""

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from pipelines.data.input.cache import fetch
from pipelines.data.land import ingest, landing
from pipelines.data.parquet_files import read_rows
from pipelines.data.restore import originals
from pipelines.data.split import split
from pipelines.outputs import DataProfile, Landing, Prepared, Snapshot, Split
from pipelines.settings import Settings, get_settings
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.landing_folders import class_folders, dicom, drawing, png, spec, write
from tests.pipelines.data.recorded import index_of
from tests.pipelines.data.without_spark import prepare_here

PATIENT = "SECRET-4711"
HERS = ("cat/hers-0.dcm", "cat/hers-1.dcm", "cat/hers-2.dcm")
"""Her files in the landing folder; the second shows nearly the same as the first."""
TAGGED = "dog/tagged.png"
"""A file from which metadata is removed when it lands."""


@dataclass(frozen=True)
class Collection:
    """A data set of an installation, up to prepared images."""

    context: Context
    landing: Path

    @property
    def spec(self) -> DatasetSpec:
        return spec()

    @property
    def home(self) -> Path:
        return self.context.settings.home

    @property
    def store(self) -> Path:
        return self.home.parent / "store"

    def land(self) -> Landing:
        return landing.run(self.spec, self.context, str(self.landing))

    def ingest(self) -> Snapshot:
        return ingest.run(self.spec, self.context, self.land())

    def divide(self) -> Split:
        return split.run(self.spec, self.context, self.ingest())

    def rows(self, path: str) -> list[dict[str, Any]]:
        return read_rows(self.context.store, path)

    def index(self) -> list[dict[str, Any]]:
        """What the newest snapshot says of each file."""
        return index_of(self.context, self.ingest())

    def prepared(self) -> Prepared:
        """The training set."""
        (identity,) = self.context.store.names("pets/training_sets")
        manifest = self.context.store.read_json(f"pets/training_sets/{identity}/manifest.json")
        return Prepared.model_validate(manifest["output"])

    def originals(self) -> dict[str, bytes]:
        """sha256 → original of every image of the newest snapshot."""
        return {row["sha256"]: data for row, data in originals(self.context, self.index())}


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such an installation; not to be changed."""
    folder = tmp_path_factory.mktemp("erasable")
    made = _collection(folder)
    _draw(made.landing)
    division = made.divide()
    prepared = _prepare(made, division)
    _derive(made, prepared)
    _live_in(made, prepared)
    return folder


@pytest.fixture
def collection(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collection]:
    """A copy of it, in the place of the test's own installation."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    for manifest in (tmp_path / "store/pets/landings").glob("*/manifest.json"):
        manifest.write_text(manifest.read_text().replace(str(filled), str(tmp_path)))
    monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDLOOP_STORE", (tmp_path / "store").as_uri())
    get_settings.cache_clear()
    yield _collection(tmp_path)
    get_settings.cache_clear()


def _collection(folder: Path) -> Collection:
    settings = Settings(
        home=folder / "home",
        store=(folder / "store").as_uri(),
        mlflow_uri="http://127.0.0.1:9",
    )
    context = Context(settings=settings, store=open_store(settings))
    return Collection(context, folder / "landing")


def _draw(folder: Path) -> None:
    class_folders(folder, per_class=5)
    base = 60 + drawing(500).astype("<u2") // 2
    nearly = base + np.random.default_rng(1).integers(0, 3, base.shape).astype("<u2")
    for name, pixels in zip(HERS, (base, nearly, drawing(501).astype("<u2")), strict=True):
        write(folder / name, dicom(len(name) + int(name[-5]), PixelData=pixels.tobytes()))
    write(folder / "dog" / "other.dcm", dicom(9, PatientID="OTHER-1", PatientName="Roe^Rick"))
    about = PngImagePlugin.PngInfo()
    about.add_text("Author", "Jane Doe")
    tagged = io.BytesIO()
    Image.fromarray(drawing(700)).save(tagged, "PNG", pnginfo=about)
    write(folder / TAGGED, tagged.getvalue())
    write(folder / "bird" / "unlabelled.png", png(drawing(800)))


def _prepare(made: Collection, division: Split) -> Prepared:
    """A training set, and the cache of a machine that has read it."""
    prepared = prepare_here(made.context, made.spec, made.ingest(), division, made.originals())
    fetch(made.context, prepared)
    return prepared


def _derive(made: Collection, prepared: Prepared) -> None:
    """What later stages make of each image, in their forms."""
    store, index = made.context.store, made.index()
    described = [
        {"sha256": row["sha256"], "source_path": row["source_path"], "values": [row["mean"]]}
        for row in index
    ]
    _table(made, "pets/features/f/0c.parquet", described)
    answered = [
        {"request_id": str(number), "sha256": row["sha256"], "files": [{"label": row["label"]}]}
        for number, row in enumerate(index)
    ]
    _table(made, "pets/served/2026-11-01/000000-0123abcd.parquet", answered)
    nested = [{"revision": 1, "files": [{"was": row["sha256"]}]} for row in index]
    _table(made, "pets/scores/s/part-0.parquet", nested)
    profile = DataProfile(
        dataset="pets", id="d", prepared=prepared.path, path="pets/data_profiles/d", images=9
    )
    store.write_json(f"{profile.path}/manifest.json", {"output": profile.model_dump(mode="json")})
    arrays = io.BytesIO()
    thumbnails = b"".join(row["thumbnail"] for row in index)
    np.savez_compressed(arrays, montage=np.frombuffer(thumbnails, np.uint8))
    store.write(f"{profile.path}/images.npz", arrays.getvalue())


def _table(made: Collection, path: str, rows: list[dict[str, Any]]) -> None:
    place = made.store / path
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), place, compression="zstd")


def _live_in(made: Collection, prepared: Prepared) -> None:
    """What the home gathers while it is used."""
    index, home = made.index(), made.home
    names = [(row["source_path"], row["sha256"]) for row in index]
    log = "".join(f"reading {path} ({sha256})\n" for path, sha256 in names)
    for path in ("logs/airflow/dag/1.log", "service/audit/answers.jsonl"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / "logs/airflow/dag/1.log").write_text(log)
    lines = (json.dumps({"request_id": "r", "sha256": sha256}) + "\n" for _, sha256 in names)
    (home / "service/audit/answers.jsonl").write_text("".join(lines))
    result = {"results": [{"result": {"unexpected_list": [path for path, _ in names]}}]}
    for place in ("expectations/pets/landing", "data_docs/validations/pets/landing"):
        run = home / place / "0123456789abcdef" / "now"
        run.mkdir(parents=True)
        (run / "result.html").write_text(json.dumps(result))
    (home / "reports").mkdir()
    (home / "reports" / "pets-leaks.html").write_bytes(
        made.context.store.read(f"{prepared.split}/report.html")
    )
    copy = made.context.settings.cache / "examples" / "hers.dcm"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(made.landing / HERS[0], copy)
    with sqlite3.connect(home / "notes.sqlite") as notes:
        notes.execute("CREATE TABLE notes (text TEXT)")
        notes.executemany("INSERT INTO notes VALUES (?)", [(log,), ("other",)])
