"""True classes by a file or by landing; which one counts; and files that are no labels."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import LabelError
from pipelines.monitoring.labels import Truth, label_files, note_labels, read_truth
from pipelines.storage.local import LocalStore
from tests.pipelines.data.small_collection import small_spec

SPEC = small_spec(
    classes=[
        {"name": "bright", "title": "Bright", "labels": ["light"]},
        {"name": "dark", "title": "Dark"},
    ]
)


def answers(*rows: tuple[str, str | None]) -> pa.Table:
    return pa.table({"request_id": [r for r, _ in rows], "sha256": [s for _, s in rows]})


def note(store: LocalStore, folder: Path, text: str) -> int:
    file = folder / "labels.csv"
    file.write_text(text, "utf-8")
    return note_labels(store, SPEC, file)


def test_labels_name_answers_by_request_or_by_picture(
    local_store: LocalStore, tmp_path: Path
) -> None:
    assert note(local_store, tmp_path, "request_id,sha256,label\nr1,,light\n,AB,dark\n") == 2
    truth = read_truth(local_store, "small", landed={})
    told = truth.of(answers(("r1", "11"), ("r2", "ab"), ("r3", None)))
    assert told == ["bright", "dark", None]


def test_the_latest_file_counts(local_store: LocalStore, tmp_path: Path) -> None:
    note(local_store, tmp_path, "label,request_id\nbright,r1\n")
    note(local_store, tmp_path, "label,request_id\ndark,r1\n")
    assert read_truth(local_store, "small", landed={}).of(answers(("r1", "11"))) == ["dark"]


def test_what_a_person_says_counts_before_where_the_picture_landed() -> None:
    truth = Truth(by_request={"r1": "bright"}, landed={"11": "dark", "22": "dark"})
    assert truth.of(answers(("r1", "11"), ("r2", "22"))) == ["bright", "dark"]


def test_a_request_with_several_pictures_names_none_of_them() -> None:
    truth = Truth(by_request={"batch": "bright"}, by_sha256={"11": "dark"})
    assert truth.of(answers(("batch", "11"), ("batch", "22"))) == ["dark", None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request,label\nr1,dark\n", "expected a first line that names the columns"),
        ("request_id,label\n", "holds no labels"),
        ("request_id,label\nr1,dusk\n", "line 2: 'dusk' is no class of small"),
        ("request_id,label\nr1,dark\n,dark\n", "line 3 names no answer"),
        ("", "expected a first line"),
        ("request_id,label\nr1," + "x" * 200_000, "is not CSV: field larger"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(
    local_store: LocalStore, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(LabelError, match=said):
        note(local_store, tmp_path, text)
    assert label_files(local_store, "small") == []


def test_a_file_that_is_not_text_is_refused(local_store: LocalStore, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(LabelError, match="cannot be read as text"):
        note_labels(local_store, SPEC, file)
    with pytest.raises(LabelError, match="cannot be read as text"):
        note_labels(local_store, SPEC, tmp_path / "none.csv")
