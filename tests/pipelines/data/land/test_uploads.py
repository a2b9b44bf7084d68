"""Images that come through the service, in the landing folder and in what lands from it."""

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from pipelines.data.folders import LocalFolder
from pipelines.data.labels import layout
from pipelines.data.land.uploads import Checked, Delivery, check, safe_name
from pipelines.errors import BadImage, LabelError
from pipelines.spec import DatasetSpec
from tests.pipelines.data.landing_folders import dicom, drawing, png, spec, write

SPLITS = {"landing": {"splits": {"train": "Training", "test": "Testing"}}}


def image(seed: int = 1) -> Checked:
    """A good image."""
    return check(spec(), png(drawing(seed)))


def bring(
    pets: DatasetSpec, folder: Path, label: str | None, *sent: tuple[str, Checked]
) -> list[tuple[str, str | None]]:
    """Add images in one delivery; status and code of each."""
    delivery = Delivery(pets, LocalFolder(folder), label)
    outcomes = [delivery.add(name, one) for name, one in sent]
    return [(outcome.status, outcome.code) for outcome in outcomes]


def paths(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("changes", "there", "label", "lands_in"),
    [
        ({}, [], "cat", "cat"),
        ({}, ["dog/train/1.png"], "cat", "cat"),
        ({"landing": {"splits": {"train": ["val", "tr"], "test": "te"}}},
         ["tr/cat/1.png", "te/cat/1.png"], "cat", "tr/cat"),
        (SPLITS, [], "cat", "cat"),
        (SPLITS, ["Training/cat/1.png", "Testing/cat/1.png"], "cat", "Training/cat"),
        (SPLITS, ["Testing/cat/1.png"], "cat", "cat"),
        (SPLITS, ["Training/dog/1.png", "Testing/cat/1.png"], "cat", "Training/cat"),
        (SPLITS, ["x/Training/cat/1.png", "x/Testing/cat/1.png"], "cat", "x/Training/cat"),
        ({"landing": {"masks": "masks/{folder}/{stem}.png"}}, ["masks/cat/1.png"], "cat", "cat"),
        (SPLITS, ["Training/cat/1.png"], None, "unlabelled"),
        ({"landing": {"table": {"file": "t.csv", "image": "{i}", "label": "l"}}}, [], None,
         "unlabelled"),
    ],
)  # fmt: skip
def test_an_image_joins_those_of_its_class_and_never_those_that_test_a_model(
    changes: dict[str, Any], there: list[str], label: str | None, lands_in: str, tmp_path: Path
) -> None:
    for number, path in enumerate(there):
        write(tmp_path / path, b"%d" % number)
    assert bring(spec(**changes), tmp_path, label, ("a.png", image())) == [("accepted", None)]
    assert set(paths(tmp_path)) - set(there) == {f"{lands_in}/a.png"}
    whole = {split for path in there for split in ("Training", "tr") if split in path.split("/")}
    if label and (whole or not there):
        source = LocalFolder(tmp_path)
        pets = spec(**changes)
        entries = layout.entries(pets, source, layout.files(pets, source), pseudonym=str)
        (entry,) = (entry for entry in entries if entry.relative == f"{lands_in}/a.png")
        assert entry.label == label, "landing reads the label that was sent"
        assert entry.declared_split in (None, "train")


def test_what_is_there_is_neither_overwritten_nor_brought_twice(tmp_path: Path) -> None:
    first, second = image(1), image(2)
    write(tmp_path / "dog" / "elsewhere.png", first.data)
    write(tmp_path / "cat" / "a.png", b"of somebody else")
    said = bring(
        spec(), tmp_path, "cat", ("a.png", second), ("again.png", second), ("b.png", first)
    )
    assert said == [("accepted", None), ("duplicate", "duplicate"), ("duplicate", "duplicate")]
    assert (tmp_path / "cat" / "a.png").read_bytes() == b"of somebody else"
    beside = tmp_path / "cat" / f"a-{second.sha256[:16]}.png"
    assert beside.read_bytes() == second.data
    assert paths(tmp_path) == [f"cat/{beside.name}", "cat/a.png", "dog/elsewhere.png"]
    assert bring(spec(), tmp_path, None, ("x.png", second)) == [("duplicate", "duplicate")]


def test_many_who_bring_the_same_image_at_once_leave_one_file(tmp_path: Path) -> None:
    """Each has listed the folder before any has written."""
    one = image()
    deliveries = [Delivery(spec(), LocalFolder(tmp_path), "cat") for _ in range(8)]
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda d=d: said.append(d.add("a.png", one).status))
        for d in deliveries
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 8
    files = [tmp_path / path for path in paths(tmp_path)]
    assert all(hashlib.sha256(file.read_bytes()).hexdigest() == one.sha256 for file in files)
    assert said.count("accepted") == len(files) <= 2
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("..\\..\\boot.ini", "boot.png"),
        ("/abs/a.PNG", "a.PNG"),
        (".hidden.png", "hidden.png"),
        ("a\x00b\n.png", "a_b.png"),
        ("Größe 1.jpeg", "Große_1.png".replace("ß", "")),
        ("person1_bacteria_2.png", "person1_bacteria_2.png"),
        ("_SUCCESS", "SUCCESS.png"),
        ("scan.png.part", "scan.png.png"),
        ("x" * 400 + ".png", "x" * 100 + ".png"),
        ("日本.png", ""),
        ("", ""),
        ("..", ""),
    ],
)
def test_no_name_leads_out_of_the_folder_or_hides_a_file(
    sent: str, kept: str, tmp_path: Path
) -> None:
    stem, suffix = safe_name(sent, "PNG")
    assert (f"{stem}{suffix}" if stem else "") == kept
    one = image()
    assert bring(spec(), tmp_path, "cat", (sent, one)) == [("accepted", None)]
    assert paths(tmp_path) == [f"cat/{kept or one.sha256[:16] + '.png'}"]
    assert [f.path for f in LocalFolder(tmp_path).files()] == paths(tmp_path), "it can be landed"


def test_of_a_dicom_file_no_name_is_kept(tmp_path: Path) -> None:
    one = check(spec(), dicom(1))
    assert bring(spec(), tmp_path, "cat", ("DOE^JOHN.dcm", one)) == [("accepted", None)]
    assert paths(tmp_path) == [f"cat/{one.sha256[:16]}.dcm"]


def test_labels_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    table = {"landing": {"table": {"file": "t.csv", "image": "{i}", "label": "l"}}}
    for pets, label, named in (
        (spec(), "horse", "classes: cat, dog"),
        (spec(), "../cat", "classes: cat, dog"),
        (spec(**table), "cat", "t.csv"),
    ):
        with pytest.raises(LabelError, match=named):
            Delivery(pets, LocalFolder(tmp_path), label)
    patterned = spec(landing={"label_pattern": "^(?P<label>cat|dog)_", "ignore": ["*_raw.png"]})
    said = bring(patterned, tmp_path, "cat", ("dog_1.png", image(1)), ("x_raw.png", image(2)))
    assert said == [("refused", "label_conflict"), ("refused", "name_ignored")]
    labels = spec(classes=[{"name": "cat", "title": "C", "labels": ["CAT"]},
                           {"name": "dog", "title": "D", "labels": ["DOG"]}])  # fmt: skip
    assert bring(labels, tmp_path, "cat", ("a.png", image(3))) == [("accepted", None)]
    assert paths(tmp_path) == ["CAT/a.png"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no image", "unknown_format"),
        (png(drawing(1))[:500], "truncated"),
        (png(drawing(1, side=8)), "too_small"),
        (png(drawing(1) * 0), "blank"),
    ],
)
def test_an_image_is_refused_for_the_reason_landing_would_give(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as refused:
        check(spec(), data)
    assert refused.value.reason == reason


def test_unlabelled_images_are_neither_landed_nor_quarantined(tmp_path: Path) -> None:
    """In every layout; they wait for a person."""
    tables = {"landing": {"table": {"file": "t.csv", "image": "{i}.png", "label": "l"}}}
    write(tmp_path / "t.csv", b"i,l\ncat/1,cat\n")
    write(tmp_path / "cat" / "1.png", b"x")
    write(tmp_path / "unlabelled" / "deep" / "2.png", b"y")
    for pets in (spec(landing={"ignore": ["t.csv"]}), spec(**tables)):
        source = LocalFolder(tmp_path)
        found = layout.entries(pets, source, layout.files(pets, source), pseudonym=str)
        assert [(entry.relative, entry.reason) for entry in found] == [("cat/1.png", None)]
    with pytest.raises(ValueError, match="never landed"):
        spec(classes=[{"name": n, "title": n} for n in ("cat", "unlabelled")])
