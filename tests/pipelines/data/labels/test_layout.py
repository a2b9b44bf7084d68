import unicodedata
from pathlib import Path
from typing import Any

import pytest

from pipelines.data.folders import LocalFolder
from pipelines.data.labels.entry import Entry
from pipelines.data.labels.layout import entries, files, require_every_class, require_whole_splits
from pipelines.errors import LandingError
from tests.pipelines.data.landing_folders import CLASSES, spec, write

SPLITS = {"splits": {"train": "Training", "test": "Testing"}}
TABLE = {
    "table": {
        "file": "labels.csv",
        "image": "images/{id}.png",
        "label": "dx",
        "group": "lesion",
        "metadata": ["age", "sex"],
    }
}


def laid_out(folder: Path, **changes: Any) -> list[Entry]:
    source = LocalFolder(folder)
    found = entries(spec(**changes), source, files(spec(**changes), source), pseudonym=str)
    require_every_class(spec(**changes), source, found)
    return found


def landed(folder: Path, *names: str, **landing: Any) -> dict[str, Entry]:
    for name in names:
        write(folder / name, b"x")
    return {entry.relative: entry for entry in laid_out(folder, landing=landing)}


def table(folder: Path, *rows: str) -> None:
    write(folder / "labels.csv", "\n".join(["id,dx,lesion,age,sex", *rows]).encode())


def test_a_class_folder_names_its_files_label_however_deep_they_stand(tmp_path: Path) -> None:
    found = landed(tmp_path, "cat/1.png", "cat/2024/may/2.png", "dog/1.png")
    assert [e.label for e in found.values()] == ["cat", "cat", "dog"]
    assert {e.declared_split for e in found.values()} == {None}


def test_split_folders_are_declared(tmp_path: Path) -> None:
    found = landed(tmp_path, "Training/cat/1.png", "Testing/dog/1.png", **SPLITS)
    assert found["Training/cat/1.png"].declared_split == "train"
    assert found["Testing/dog/1.png"].declared_split == "test"
    assert found["Testing/dog/1.png"].label == "dog"


def test_new_class_folders_may_come_without_the_collections_splits(tmp_path: Path) -> None:
    found = landed(tmp_path, "cat/1.png", "dog/1.png", **SPLITS)
    assert [(e.label, e.declared_split) for e in found.values()] == [("cat", None), ("dog", None)]


def test_other_names_of_a_class_are_known(tmp_path: Path) -> None:
    classes = [
        {"name": "cat", "title": "C", "labels": ["KITTEN", "CAT"]},
        {"name": "dog", "title": "D"},
    ]
    for name in ("KITTEN/1.png", "CAT/2.png", "dog/3.png"):
        write(tmp_path / name, b"x")
    found = laid_out(tmp_path, classes=classes)
    assert [(e.landing_label, e.label) for e in found] == [
        ("CAT", "cat"),
        ("KITTEN", "cat"),
        ("dog", "dog"),
    ]


@pytest.mark.parametrize("stray", ["bird/1.png", "1.png", "Cat/1.png"])
def test_a_file_of_no_class_is_listed_as_unlabelled(tmp_path: Path, stray: str) -> None:
    found = landed(tmp_path, "cat/1.png", "dog/1.png", stray)[stray]
    assert (found.reason, found.label) == ("unlabelled", None)
    assert "cat, dog" in str(found.message)


def test_the_group_is_read_off_the_file_name(tmp_path: Path) -> None:
    pattern = r"^(?P<group>person\d+)_"
    found = landed(tmp_path, "cat/person7_1.png", "dog/nobody.png", group_pattern=pattern)
    assert [entry.group for entry in found.values()] == ["person7", None]


@pytest.mark.parametrize("present", [("train",), ("val",), ("train", "val")])
def test_several_folders_of_one_split_are_read_and_one_is_enough(
    tmp_path: Path, present: tuple[str, ...]
) -> None:
    splits = {"train": ["train", "val"], "test": "test"}
    names = [f"{split}/{animal}/1.png" for split in (*present, "test") for animal in CLASSES]
    found = landed(tmp_path, *names, splits=splits)
    declared = {entry.relative.partition("/")[0]: entry.declared_split for entry in found.values()}
    assert declared == dict.fromkeys(present, "train") | {"test": "test"}


def test_a_validation_folder_is_declared_as_such(tmp_path: Path) -> None:
    names = [f"{split}/{animal}/1.png" for split in ("train", "val") for animal in CLASSES]
    found = landed(tmp_path, *names, splits={"train": "train", "validation": "val"})
    assert found["val/cat/1.png"].declared_split == "validation"


def test_a_split_of_which_no_folder_came_is_named(tmp_path: Path) -> None:
    splits = {"train": ["train", "val"], "test": "test"}
    with pytest.raises(LandingError, match=r"landing\.splits\.train .*'train' or 'val'.*'test'"):
        landed(tmp_path, "test/cat/1.png", "test/dog/1.png", splits=splits)


def test_a_file_name_may_tell_the_label_and_other_facts(tmp_path: Path) -> None:
    found = landed(
        tmp_path,
        "ill/p1_cat_left.png",
        "ill/p2_dog.png",
        "cat/p3.png",
        "ill/p4.png",
        label_pattern=r"_(?P<label>cat|dog)",
        metadata_pattern=r"_(?P<animal>cat|dog)(_(?P<side>left|right))?",
    )
    assert [entry.label for entry in found.values()] == ["cat", "cat", "dog", None]
    assert found["ill/p1_cat_left.png"].metadata == {"animal": "cat", "side": "left"}
    assert found["ill/p2_dog.png"].metadata == {"animal": "dog"}
    assert found["cat/p3.png"].metadata == {}
    assert found["ill/p4.png"].reason == "unlabelled"


def test_a_class_without_files_is_an_error_that_says_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"no images of class dog.*the labels 'Dog', 'cat'"):
        landed(tmp_path, "cat/1.png", "Dog/1.png")


def test_a_missing_split_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"landing\.splits\.test.*'Testing'.*'Training', 'test'"):
        landed(tmp_path, "Training/cat/1.png", "test/dog/1.png", **SPLITS)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"landing folder .*nowhere does not exist"):
        laid_out(tmp_path / "nowhere")


def test_an_empty_folder_is_an_error_that_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="cat/, dog/ inside Training/ and Testing/"):
        laid_out(tmp_path, landing=SPLITS)


def test_a_table_gives_label_group_and_metadata(tmp_path: Path) -> None:
    table(tmp_path, "1,cat,L1,80,", "2,dog,,,f")
    found = landed(tmp_path, "images/1.png", "images/2.png", **TABLE)
    one, two = found["images/1.png"], found["images/2.png"]
    assert (one.label, one.group, one.metadata) == ("cat", "L1", {"age": "80"})
    assert (two.label, two.group, two.metadata) == ("dog", None, {"sex": "f"})


def test_a_row_without_file_and_a_file_without_row_are_both_listed(tmp_path: Path) -> None:
    table(tmp_path, "1,cat,,,", "2,dog,,,", "3,dog,,,")
    found = landed(tmp_path, "images/1.png", "images/2.png", "images/9.png", **TABLE)
    assert found["images/3.png"].reason == "missing_file"
    assert "Line 4 of labels.csv" in str(found["images/3.png"].message)
    assert found["images/9.png"].reason == "unlabelled"


def test_rows_that_contradict_each_other_are_not_believed(tmp_path: Path) -> None:
    table(tmp_path, "1,cat,,,", "1,dog,,,", "2,cat,,,", "3,dog,,,")
    found = landed(tmp_path, "images/1.png", "images/2.png", "images/3.png", **TABLE)
    assert (found["images/1.png"].reason, found["images/1.png"].label) == ("ambiguous_label", None)


def test_a_label_the_spec_does_not_know_is_unlabelled(tmp_path: Path) -> None:
    table(tmp_path, "1,cat,,,", "2,dog,,,", "3,bird,,,")
    found = landed(tmp_path, *(f"images/{n}.png" for n in (1, 2, 3)), **TABLE)
    assert (found["images/3.png"].reason, found["images/3.png"].landing_label) == (
        "unlabelled",
        "bird",
    )


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"labels\.csv, the label table"):
        landed(tmp_path, "images/1.png", **TABLE)


def decomposed(text: str) -> str:
    """As macOS writes it."""
    return unicodedata.normalize("NFD", text)


def test_names_are_the_same_however_their_accents_are_written(tmp_path: Path) -> None:
    classes = [
        {"name": "cat", "title": "C", "labels": ["Lésion"]},
        {"name": "dog", "title": "D", "labels": [decomposed("Hündin")]},
    ]
    splits = {"splits": {"train": "Trainé", "test": decomposed("Prüfung")}}
    names = [
        decomposed(f"Trainé/Lésion/{decomposed('Müller')}_1.png"),
        "Trainé/Hündin/Müller_2.png",
        f"Prüfung/{decomposed('Lésion')}/3.png",
        decomposed("Prüfung/Hündin/4.png"),
    ]
    for name in names:
        write(tmp_path / name, b"x")
    pattern = {"group_pattern": f"^(?P<group>{decomposed('Mü')}.+)_"}
    found = {e.relative: e for e in laid_out(tmp_path, classes=classes, landing=splits | pattern)}
    labels = [(found[name].label, found[name].declared_split) for name in names]
    assert labels == [("cat", "train"), ("dog", "train"), ("cat", "test"), ("dog", "test")]
    groups = {found[name].group for name in names[:2]}
    assert groups == {"Müller"}, "one patient, however the file name is written"


def test_a_table_names_files_and_columns_however_their_accents_are_written(tmp_path: Path) -> None:
    rows = [decomposed("dé,größe,dx"), decomposed("é1,5,cat"), "é2,6,dog"]
    write(tmp_path / decomposed("tête.csv"), "\n".join(rows).encode())
    described = {"file": "tête.csv", "image": "{dé}.png", "label": "dx", "metadata": ["größe"]}
    found = landed(tmp_path, "é1.png", decomposed("é2.png"), table=described)
    assert [found[name].label for name in ("é1.png", decomposed("é2.png"))] == ["cat", "dog"]
    assert found["é1.png"].metadata == {"größe": "5"}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["images/1.PNG", "images/2.PNG"], "differ only in case"),
        (["img/1.png", "img/2.png"], "in another folder"),
        (["images/1.jpg", "images/2.jpg"], "another extension"),
        (["images/a.png", "images/b.png"], "differ even without folders"),
    ],
)
def test_a_table_that_finds_no_file_at_all_says_what_is_different(
    tmp_path: Path, names: list[str], says: str
) -> None:
    table(tmp_path, "1,cat,,,", "2,dog,,,")
    with pytest.raises(LandingError, match=says) as raised:
        landed(tmp_path, *names, "Doe_Jane.dcm", **TABLE)
    for part in ("None of the 2 rows", "'images/1.png'", repr(names[0]), "images/{id}.png"):
        assert part in str(raised.value)
    assert "Doe" not in str(raised.value)


def test_a_row_whose_file_differs_in_capital_letters_only_says_so(tmp_path: Path) -> None:
    table(tmp_path, "1,cat,,,", "2,dog,,,", "3,dog,,,")
    found = landed(tmp_path, "images/1.png", "images/2.png", "images/3.PNG", **TABLE)
    assert "in case only" in str(found["images/3.png"].message)


@pytest.mark.parametrize("label", ["Cat", "CAT", "c at", "c_a_t"])
def test_a_label_that_is_almost_one_is_told(tmp_path: Path, label: str) -> None:
    found = landed(tmp_path, "cat/1.png", "dog/1.png", f"{label}/1.png")
    assert "Did you mean 'cat'?" in str(found[f"{label}/1.png"].message)


def test_a_class_that_the_test_folder_lacks_is_named_with_the_folder(tmp_path: Path) -> None:
    for name in ("Training/cat/1.png", "Training/dog/1.png", "Testing/cat/1.png"):
        write(tmp_path / name, b"x")
    found = laid_out(tmp_path, landing=SPLITS)
    with pytest.raises(LandingError, match=r"test folder .*'Testing'.* no images of class dog"):
        require_whole_splits(spec(landing=SPLITS), LocalFolder(tmp_path), found)


def test_folders_of_what_may_be_dicom_are_not_named_in_an_error(tmp_path: Path) -> None:
    for name in ("cat/1.png", "Doe_Jane/IM1", "Doe_John/x.dcm", "bird/1.png"):
        write(tmp_path / name, b"x")
    with pytest.raises(LandingError, match="found the labels 'bird', 'cat'") as raised:
        laid_out(tmp_path)
    assert "Doe" not in str(raised.value)


def test_the_folder_a_download_was_unpacked_into_does_not_matter(tmp_path: Path) -> None:
    names = [f"{split}/{animal}/1.png" for split in ("Training", "Testing") for animal in CLASSES]
    wrapped = [f"archive/pets-v2/{name}" for name in names]
    beside = ["LICENSE.txt", "archive/__MACOSX/pets-v2/Training/cat/1.png", "archive/Thumbs.db"]
    found = landed(tmp_path / "a", *wrapped, *beside, **SPLITS)
    assert [found[name].label for name in wrapped] == ["cat", "dog", "cat", "dog"]
    assert [found[name].declared_split for name in wrapped] == ["train", "train", "test", "test"]
    assert set(found) == {*wrapped, "LICENSE.txt"}

    write(tmp_path / "b" / "archive" / "labels.csv", b"id,dx,lesion,age,sex\n1,cat,,,\n2,dog,,,")
    found = landed(tmp_path / "b", "archive/images/1.png", "archive/images/2.png", **TABLE)
    assert [entry.label for entry in found.values()] == ["cat", "dog"]


def test_a_folder_of_class_folders_is_not_a_download(tmp_path: Path) -> None:
    names = ("to_discard/cat/1.png", "to_discard/dog/1.png")
    with pytest.raises(LandingError, match=r"landing\.splits"):
        landed(tmp_path, *names, **SPLITS)
    with pytest.raises(LandingError, match="no images of class cat, dog"):
        laid_out(tmp_path)


def test_of_several_tables_and_places_the_first_that_is_there_counts(tmp_path: Path) -> None:
    several = {"file": ["none.csv", "labels.csv"], "image": ["a/{id}.png", "b/{id}.png"]}
    table(tmp_path, "1,cat,,,", "2,dog,,,", "3,dog,,,")
    names = ["a/1.png", "b/1.png", "b/2.png"]
    found = landed(tmp_path, *names, table=TABLE["table"] | several)
    assert [found[name].label for name in names] == ["cat", None, "dog"]
    assert found["a/3.png"].reason == "missing_file"
