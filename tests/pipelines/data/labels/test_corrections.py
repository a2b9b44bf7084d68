"""Labels that a person has corrected."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.data.folders import LocalFolder
from pipelines.data.labels.entry import Entry
from pipelines.data.labels.layout import entries, files
from pipelines.data.land import ingest, landing
from pipelines.data.land.originals import LandedFiles
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.errors import LandingError
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, dicom, spec, write
from tests.pipelines.data.recorded import index_of

HEADER = "source_path,label,why"


def laid_out(folder: Path, *lines: str, header: str = HEADER) -> dict[str, Entry]:
    for name in ("cat/1.png", "dog/1.png", "zebra/1.png"):
        write(folder / name, b"x")
    write(folder / "corrections.csv", "\n".join([header, *lines]).encode())
    source = LocalFolder(folder)
    found = entries(spec(), source, files(spec(), source), pseudonym=stored_as)
    return {entry.relative: entry for entry in found}


def stored_as(path: str) -> str:
    """Stands for a pseudonym."""
    return f"{path.partition('/')[0]}/{path[::-1].replace('/', '')}.dcm"


def test_a_corrected_label_is_taken_and_the_old_one_kept(tmp_path: Path) -> None:
    found = laid_out(tmp_path, 'cat/1.png,dog,"it barks, plainly"')
    assert found["cat/1.png"].label == "dog"
    assert found["cat/1.png"].landing_label == "cat"
    assert found["cat/1.png"].metadata == {
        "corrected_from": "cat",
        "corrected_why": "it barks, plainly",
    }
    assert found["dog/1.png"].metadata == {}
    assert "corrections.csv" not in found


def test_a_file_nobody_could_label_can_be_used_then(tmp_path: Path) -> None:
    assert laid_out(tmp_path)["zebra/1.png"].reason == "unlabelled"
    found = laid_out(tmp_path, "zebra/1.png,dog,a dog in pyjamas")["zebra/1.png"]
    assert (found.label, found.reason, found.message) == ("dog", None, None)


def test_a_file_can_be_named_by_its_pseudonym(tmp_path: Path) -> None:
    name = stored_as("cat/1.png")
    found = laid_out(tmp_path, f"{name},dog,it barks")
    assert (found["cat/1.png"].label, found["cat/1.png"].reason) == ("dog", None)
    assert name not in found
    with pytest.raises(LandingError, match=r"line 2 says 'cat' for .*line 3 says 'dog'"):
        laid_out(tmp_path, "cat/1.png,cat,seen", f"{name},dog,it barks")


def test_a_dicom_file_is_corrected_by_the_name_it_is_stored_by(
    context: Context, tmp_path: Path
) -> None:
    folder = class_folders(tmp_path / "landing", per_class=4)
    write(folder / "cat" / "Doe_Jane" / "IM1", dicom(1))
    write(folder / "Roe_John" / "IM2", dicom(2))

    def stored() -> dict[str, dict[str, Any]]:
        landed = landing.run(spec(), context, str(folder))
        snapshot = ingest.run(spec(), context, landed)
        return {
            row["source_path"]: row
            for row in index_of(context, snapshot)
            if row["source_path"].endswith(".dcm")
        }

    (name,) = stored()
    names = load_pseudonyms(context.settings)
    unlabelled = LandedFiles(spec(), LocalFolder(folder), names).pseudonym("Roe_John/IM2")
    lines = [HEADER, f"{name},dog,seen", f"{unlabelled},cat,seen"]
    write(folder / "corrections.csv", "\n".join(lines).encode())
    rows = stored()
    assert {path: row["label"] for path, row in rows.items()} == {name: "dog", unlabelled: "cat"}
    said = [row | {"thumbnail": None} for row in rows.values()]
    assert "Roe" not in str(said)
    assert "Doe" not in str(said)


def test_a_label_that_is_right_already_changes_nothing(tmp_path: Path) -> None:
    assert laid_out(tmp_path, "cat/1.png,cat,seen")["cat/1.png"].metadata == {}


def test_a_correction_of_what_is_not_there_is_not_lost(tmp_path: Path) -> None:
    found = laid_out(tmp_path, "cat/9.png,dog,seen")["cat/9.png"]
    assert found.reason == "missing_file"
    assert "Line 2" in str(found.message)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["cat/1.png,horse,seen"], "line 2.*'horse'"),
        (["cat/1.png,dog,"], "line 2.*why"),
        ([",dog,seen"], "line 2"),
        (["cat/1.png,dog"], "line 2"),
        (["cat/1.png,dog,seen", "cat/1.png,cat,no"], "line 2 says 'dog'.*line 3 says 'cat'"),
        (['cat/1.png,"dog,seen'], "not a CSV"),
    ],
)
def test_a_correction_that_cannot_be_understood_stops_the_landing(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    with pytest.raises(LandingError, match=said):
        laid_out(tmp_path, *lines)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="no column 'why'"):
        laid_out(tmp_path, "cat/1.png,dog", header="source_path,label")


def test_a_snapshot_follows_the_correction_and_its_withdrawal(
    context: Context, tmp_path: Path
) -> None:
    folder = tmp_path / "landing"
    class_folders(folder, per_class=4)

    def labels() -> dict[str, str]:
        snapshot = ingest.run(spec(), context, landing.run(spec(), context, str(folder)))
        return {row["source_path"]: row["label"] for row in index_of(context, snapshot)}

    assert labels()["cat/000.png"] == "cat"
    write(folder / "corrections.csv", f"{HEADER}\ncat/000.png,dog,seen\n".encode())
    assert labels()["cat/000.png"] == "dog"
    (folder / "corrections.csv").unlink()
    assert labels()["cat/000.png"] == "cat"
