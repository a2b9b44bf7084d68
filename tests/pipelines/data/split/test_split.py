import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.data.duplicates import compared
from pipelines.data.land import ingest, landing
from pipelines.data.rows import Image, Original, schema_of
from pipelines.data.split import split
from pipelines.data.tables import Table
from pipelines.errors import SplitError
from pipelines.outputs import SPLITS, Snapshot, Split
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore
from tests.pipelines.data.landing_folders import CLASSES, class_folders, drawing, png, spec, write
from tests.pipelines.data.recorded import members_of

FOLDERS = {"landing": {"splits": {"train": "Training", "test": "Testing"}}}


def ingested(context: Context, folder: Path, **changes: Any) -> Snapshot:
    landed = landing.run(spec(**changes), context, str(folder))
    return ingest.run(spec(**changes), context, landed)


def rows(context: Context, divided: Split) -> dict[str, dict[str, Any]]:
    return {row["source_path"]: row for row in members_of(context, divided.path)}


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A collection with its own test folder, of which training holds copies of every kind."""
    folder = tmp_path / "landing"
    class_folders(folder / "Training", per_class=8)
    class_folders(folder / "Testing", per_class=4, first=500)
    tested = drawing(500)
    write(folder / "Training/cat/copy.png", (folder / "Testing/cat/500.png").read_bytes())
    write(folder / "Training/cat/mirrored.png", png(tested[:, ::-1]))
    write(folder / "Training/cat/bright.png", png((tested * 0.8 + 40).astype(np.uint8)))
    write(folder / "Training/dog/again.png", (folder / "Training/dog/000.png").read_bytes())
    return folder


def test_leaks_are_taken_out_of_training_counted_and_named(context: Context, leaky: Path) -> None:
    divided = split.run(spec(**FOLDERS), context, ingested(context, leaky, **FOLDERS))
    found = rows(context, divided)
    leaked = {path for path, row in found.items() if row["excluded"] == "leak"}
    assert leaked == {f"Training/cat/{n}.png" for n in ("copy", "mirrored", "bright")}
    assert divided.leaks == 3
    assert divided.counts["test"] == {"cat": 4, "dog": 4}
    assert (divided.exact_duplicates, divided.near_duplicates) == (4, 2)
    assert {row["source"] for row in found.values()} == {1}, "too few for several sources"
    told = context.store.read_json(f"{divided.path}/leaks.json")
    assert {pair["train_source_path"]: pair["kind"] for pair in told["leaks"]} == {
        "Training/cat/copy.png": "copy",
        "Training/cat/mirrored.png": "near",
        "Training/cat/bright.png": "near",
    }
    assert {pair["test_source_path"] for pair in told["leaks"]} == {"Testing/cat/500.png"}
    assert told["excluded"] == {"duplicate": {"dog": 1}, "leak": {"cat": 3}}


def test_the_report_names_and_shows_the_copies(context: Context, leaky: Path) -> None:
    divided = split.run(spec(**FOLDERS), context, ingested(context, leaky, **FOLDERS))
    page = context.store.read(f"{divided.path}/report.html").decode()
    for path in ("Training/cat/copy.png", "Training/cat/mirrored.png", "Testing/cat/500.png"):
        assert path in page
    assert page.count("data:image/jpeg;base64,") == 2, "two pairs, side by side"
    assert "3 training images" in page
    assert "http" not in page.split("<body>")[1], "the page needs nothing from elsewhere"


def test_no_cluster_stands_in_two_splits(context: Context, leaky: Path) -> None:
    divided = split.run(spec(**FOLDERS), context, ingested(context, leaky, **FOLDERS))
    splits: dict[str, set[str]] = {}
    for row in rows(context, divided).values():
        assert (row["split"] is None) != (row["excluded"] is None)
        if row["split"]:
            splits.setdefault(row["cluster"], set()).add(row["split"])
    assert {len(names) for names in splits.values()} == {1}
    assert set.union(*splits.values()) == set(SPLITS)


def test_patients_stay_together(context: Context, tmp_path: Path) -> None:
    for n in range(30):
        for label in CLASSES:
            name = f"{label}/person{n // 3}_{n}.png"
            write(tmp_path / "landing" / name, png(drawing(n + 1000 * (label == "dog"))))
    grouped = {"landing": {"group_pattern": r"^(?P<group>person\d+)_"}}
    divided = split.run(
        spec(**grouped), context, ingested(context, tmp_path / "landing", **grouped)
    )
    parts: dict[str, set[str]] = {}
    for path, row in rows(context, divided).items():
        parts.setdefault(path.split("/")[1].split("_")[0], set()).add(row["split"])
    assert len(parts) == 10
    assert {len(names) for names in parts.values()} == {1}
    assert divided.leaks == 0


def test_the_same_data_in_another_order_gives_the_same_bytes(
    context: Context, leaky: Path, tmp_path: Path
) -> None:
    snapshot = ingested(context, leaky, **FOLDERS)
    first = split.run(spec(**FOLDERS), context, snapshot)
    other = Context(context.settings, LocalStore(tmp_path / "other"))
    for name in ("packs", "snapshots"):
        here = Path(context.store.folder) / "pets" / name  # type: ignore[attr-defined]
        shutil.copytree(here, tmp_path / "other" / "pets" / name)
    for kind in (Original, Image):
        rows = Table.open(context, "pets", kind).arrow(schema_of(kind).names)
        order = list(range(len(rows)))
        random.Random(1).shuffle(order)
        revision = 1 if kind is Image else None
        Table.open(other, "pets", kind).append(rows.take(order), revision=revision)
    again = split.run(spec(**FOLDERS), other, snapshot)
    assert again == first
    for name in context.store.names(first.path):
        path = f"{first.path}/{name}"
        assert other.store.read(path) == context.store.read(path), name


def test_a_split_that_stands_is_not_made_again(
    context: Context, leaky: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = ingested(context, leaky, **FOLDERS)
    first = split.run(spec(**FOLDERS), context, snapshot)
    monkeypatch.delattr(compared, "pairs_of")
    assert split.run(spec(**FOLDERS), context, snapshot) == first


def test_another_rule_or_seed_makes_another_split(context: Context, leaky: Path) -> None:
    snapshot = ingested(context, leaky, **FOLDERS)
    rule = {"duplicates": {"hash_distance": 0, "correlation": 1}}
    ids = {
        split.run(spec(**FOLDERS, **changes), context, snapshot).id
        for changes in ({}, rule, {"split": {"seed": 3}})
    }
    assert len(ids) == 3


def test_contradicting_labels_are_told(context: Context, leaky: Path) -> None:
    write(leaky / "Training/dog/cat.png", (leaky / "Training/cat/001.png").read_bytes())
    write(leaky / "Training/dog/nearly.png", png(drawing(2)[:, ::-1]))
    divided = split.run(spec(**FOLDERS), context, ingested(context, leaky, **FOLDERS))
    found = rows(context, divided)
    assert found["Training/dog/cat.png"]["excluded"] == "label_conflict"
    assert found["Training/cat/001.png"]["excluded"] == "label_conflict"
    assert found["Training/dog/nearly.png"]["cluster"] == found["Training/cat/002.png"]["cluster"]
    told = context.store.read_json(f"{divided.path}/leaks.json")
    conflicts = [row["source_path"] for row in told["label_conflicts"]]
    assert conflicts == ["Training/cat/001.png", "Training/dog/cat.png"]
    (pair,) = told["label_disagreements"]
    assert {pair["first_label"], pair["second_label"]} == {"cat", "dog"}
    page = context.store.read(f"{divided.path}/report.html").decode()
    assert "Training/dog/nearly.png" in page


def test_a_class_that_cannot_be_in_every_split_is_an_error(
    context: Context, tmp_path: Path
) -> None:
    folder = class_folders(tmp_path / "landing", per_class=6)
    for path in (folder / "dog").iterdir():
        write(path, png(drawing(7)))
    with pytest.raises(SplitError, match=r"no image of class dog .* 6 images in 1 groups"):
        split.run(spec(), context, ingested(context, folder))
    assert context.store.names("pets/splits") == []


def test_hdfs_holds_a_split_as_well(hdfs: Settings, leaky: Path) -> None:
    context = Context(hdfs, open_store(hdfs))
    folder = spec(**FOLDERS, name="leaky")
    landed = landing.run(folder, context, str(leaky))
    divided = split.run(folder, context, ingest.run(folder, context, landed))
    assert divided.leaks == 3
    assert "report.html" in context.store.names(divided.path)
