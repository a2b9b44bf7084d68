import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data.packing import PACKED
from pipelines.errors import NotFound
from pipelines.evaluation.novelty import pool
from pipelines.monitoring import reference as module
from pipelines.monitoring.ask import ask
from pipelines.monitoring.judge import judge
from pipelines.monitoring.reference import build, load
from pipelines.outputs import Snapshot
from pipelines.release.predictor import Predictor, open_predictor
from pipelines.settings import Settings
from pipelines.spec import MonitorSpec
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.recorded import record, record_split
from tests.pipelines.release.models import CLASSES, PREPARED, picture, tiny_bundle, tiny_model

IMAGES = 90
SPLITS = ("train", "validation", "test")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """An installation with a snapshot and a split that the tiny bundle says it comes from."""
    store = (tmp_path / "store").as_uri()
    settings = Settings.model_validate({"home": tmp_path / "home", "store": store})
    context = Context(settings, open_store(settings))
    rows = [row_of(number) for number in range(IMAGES)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=PACKED), buffer)
    context.store.write(f"{PREPARED.snapshot}/images-00000.parquet", buffer.getvalue())
    record(context, snapshot(), rows)
    divided = [{**row, "group": f"cluster {row['row'] // 2}"} for row in rows]
    record_split(context, PREPARED.split, divided)
    return context


def snapshot() -> Snapshot:
    """The one that the tiny bundle comes from."""
    path = PREPARED.snapshot
    return Snapshot(
        dataset="tiny",
        id=path.rpartition("/")[2],
        path=path,
        images=IMAGES,
        added=IMAGES,
        parent=None,
        quarantine=None,
    )


def row_of(number: int) -> dict[str, Any]:
    """One image, as an index, a pack and a split tell of it."""
    content = picture(5000 + number)
    return {
        "source_path": f"{number:02}.png",
        "label": CLASSES[number % 3],
        "patient": None,
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": "PNG",
        "content": content,
        "file": f"{PREPARED.snapshot}/images-00000.parquet",
        "pack": f"{PREPARED.snapshot}/images-00000.parquet",
        "row": number,
        "split": SPLITS[number % 9 // 3],
    }


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", tiny_model())


@pytest.fixture
def predictor(bundle_folder: Path, tmp_path: Path) -> Predictor:
    return open_predictor(bundle_folder, "openvino", cache=tmp_path, threads=1)


def test_a_profile_is_what_the_service_would_answer_to_images_held_out(
    context: Context, bundle_folder: Path, predictor: Predictor
) -> None:
    profile = build(context, bundle_folder)
    reference = load(context, profile)

    held_out = [row for row in map(row_of, range(IMAGES)) if row["split"] != "train"]
    assert profile.images == len(reference.answers) == len(held_out) == 60
    readings = {row["row"]: predictor.read(row["content"]) for row in held_out}
    places = {pool(reading.features[None]).tobytes(): row for row, reading in readings.items()}
    for position in range(60):
        row = places[reference.answers.features[position].tobytes()]
        reading = readings[row]
        assert reference.answers.predicted[position] == reading.best
        assert reference.answers.abstained[position] == bool(reading.doubts)
        assert (reference.answers.probabilities[position] == reading.probabilities).all()
        assert reference.answers.pictures[position, 2:].tolist() == [48, 40]
        assert reference.labels[position] == row % 3
        assert reference.answers.groups is not None
        assert reference.answers.groups[position] == f"cluster {row // 2}"
    assert reference.novelty is not None
    assert reference.right.mean() == (reference.answers.predicted == reference.labels).mean()


def test_no_pixels_are_kept(context: Context, bundle_folder: Path) -> None:
    profile = build(context, bundle_folder)

    assert context.store.names(profile.path) == ["answers.parquet", "manifest.json", "novelty.npz"]
    table = pq.read_table(io.BytesIO(context.store.read(f"{profile.path}/answers.parquet")))
    assert set(table.column_names) == {
        "predicted",
        "abstained",
        *(f"probability.{name}" for name in CLASSES),
        "features",
        "mean",
        "std",
        "width",
        "height",
        "group",
        "label",
    }


def test_a_profile_that_stands_is_not_made_again(
    context: Context, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(context, bundle_folder)
    monkeypatch.setattr(module, "ask", lambda *_: pytest.fail("it asked the model again"))

    assert build(context, bundle_folder) == first


def test_of_many_images_some_are_drawn_by_chance_and_the_same_ones_each_time(
    context: Context, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(context, bundle_folder)
    monkeypatch.setattr(module, "ROWS", 35)

    some = build(context, bundle_folder)
    first = load(context, some)
    context.store.delete(some.path)
    again = load(context, build(context, bundle_folder))

    assert some.images == 35
    assert some.path != whole.path
    assert (first.answers.features == again.answers.features).all()
    assert set(np.unique(first.labels)) == {0, 1, 2}


def test_what_is_asked_later_of_the_same_images_has_not_drifted(
    context: Context, bundle_folder: Path, predictor: Predictor
) -> None:
    reference = load(context, build(context, bundle_folder))
    rows = [row for row in map(row_of, range(IMAGES)) if row["split"] == "test"]

    asked = ask(context, predictor, rows)
    findings = judge(reference, asked.answers, MonitorSpec())

    assert len(asked.labels) == 30
    assert not [finding.name for finding in findings if finding.drifted]


def test_an_image_that_cannot_be_read_any_more_is_left_out_and_told(
    context: Context, predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = row_of(3), row_of(4)
    bad |= {"content": b"no picture", "sha256": hashlib.sha256(b"no picture").hexdigest()}
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([good, bad], schema=PACKED), buffer)
    context.store.write("tiny/pack.parquet", buffer.getvalue())
    rows = [{**good, "pack": "tiny/pack.parquet", "row": 0}]
    rows.append({**bad, "pack": "tiny/pack.parquet", "row": 1})

    with caplog.at_level(logging.WARNING):
        asked = ask(context, predictor, rows)

    assert asked.labels.tolist() == [0]
    assert asked.answers.groups == (good["sha256"],)
    assert "04.png is left out" in caplog.text
    with pytest.raises(NotFound, match="None of 1 images"):
        ask(context, predictor, rows[1:])


def test_a_label_the_model_does_not_know_is_none_of_its_classes(
    context: Context, predictor: Predictor
) -> None:
    asked = ask(context, predictor, [{**row_of(5), "label": "new disease"}])

    assert asked.labels.tolist() == [-1]


@pytest.mark.parametrize("lost", [PREPARED.snapshot, PREPARED.split])
def test_without_the_data_it_comes_from_there_is_no_profile(
    context: Context, bundle_folder: Path, lost: str
) -> None:
    context.store.delete(lost)

    with pytest.raises(NotFound, match=lost):
        build(context, bundle_folder)
    assert not context.store.names("tiny/profiles")


def test_a_split_that_holds_nothing_out_is_said(context: Context, bundle_folder: Path) -> None:
    rows = [{**row_of(number), "split": "train"} for number in range(3)]
    record_split(context, PREPARED.split, rows)

    with pytest.raises(NotFound, match="holds no image out"):
        build(context, bundle_folder)
