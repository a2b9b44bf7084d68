import io
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.data import ingest, landing
from pipelines.data.sources import Source
from pipelines.data.tables import LANDED, read_rows
from pipelines.errors import LandingError
from pipelines.outputs import Landing
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, dicom, drawing, png, spec, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "landing")


def rows(context: Context, landed: Landing) -> dict[str, dict[str, Any]]:
    listed = read_rows(context.store, f"{landed.path}/files.parquet")
    return {row["source_path"]: row for row in listed}


def test_every_file_is_listed_judged_and_counted(context: Context, folder: Path) -> None:
    write(folder / "cat" / "broken.png", png(drawing(1))[:300])
    write(folder / "bird" / "1.png", png(drawing(2)))
    landed = landing.run(spec(), context, str(folder))
    assert (landed.files, landed.accepted) == (10, 8)
    assert landed.quarantined == {"truncated": 1, "unlabelled": 1}
    listed = rows(context, landed)
    assert list(listed) == sorted(listed)
    assert listed["dog/000.png"]["label"] == "dog"
    assert listed["bird/1.png"]["sha256"], "an unlabelled file is opened all the same"
    table = pq.read_table(io.BytesIO(context.store.read(f"{landed.path}/files.parquet")))
    assert table.schema.equals(LANDED)


def test_the_same_files_are_the_same_landing_wherever_and_whenever(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    first = landing.run(spec(), context, str(folder))
    shutil.copytree(folder, tmp_path / "elsewhere")
    again = landing.run(spec(), context, str(tmp_path / "elsewhere"))
    assert again.id == first.id
    assert again.source == str(tmp_path / "elsewhere"), "the bytes are read where they are now"


def test_another_file_makes_another_landing(context: Context, folder: Path) -> None:
    first = landing.run(spec(), context, str(folder))
    class_folders(folder, per_class=5)
    assert landing.run(spec(), context, str(folder)).id != first.id


def test_an_unchanged_file_is_not_opened_again(context: Context, folder: Path) -> None:
    first = landing.run(spec(), context, str(folder))
    path = folder / "cat" / "000.png"
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert landing.run(spec(), context, str(folder)) == first
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert landing.run(spec(), context, str(folder)).quarantined == {"unknown_format": 1}


def test_many_files_are_opened_by_several_processes_with_the_same_result(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = class_folders(tmp_path / "many", per_class=40)
    together = landing.run(spec(), context, str(folder))
    shutil.rmtree(context.settings.cache)
    monkeypatch.setattr(landing, "FEW_FILES", 1000)
    assert landing.run(spec(), context, str(folder)).id == together.id
    assert together.accepted == 80


def test_a_process_that_the_system_ends_is_told_in_words(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "FEW_FILES", 1)
    monkeypatch.setattr(landing, "FILES_PER_TASK", 1)
    monkeypatch.setattr(landing, "_examine_part", _die)
    with pytest.raises(LandingError, match="was ended by the system"):
        landing.run(spec(), context, str(folder))


def _die(*_: object) -> None:
    os._exit(1)


def test_a_landing_that_was_cut_off_goes_on_where_it_was(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_part = landing._examine_part

    def cut_off_at_fourth(source: Source, part: list[str], *rest: Any) -> Any:
        opened.extend(part)
        if len(opened) == 4:
            raise KeyboardInterrupt
        return open_part(source, part, *rest)

    monkeypatch.setattr(landing, "FILES_PER_TASK", 1)
    monkeypatch.setattr(landing, "_examine_part", cut_off_at_fourth)
    with pytest.raises(KeyboardInterrupt):
        landing.run(spec(), context, str(folder))
    assert landing.run(spec(), context, str(folder)).accepted == 8
    assert len(opened) == 4 + 5, "three are not opened again"


def test_names_with_letters_of_any_kind_survive(context: Context, folder: Path) -> None:
    for name in ("ü ö/日本.png", os.fsdecode(b"caf\xe9.png")):
        write(folder / "cat" / name, png(drawing(len(name))))
    listed = rows(context, landing.run(spec(), context, str(folder)))
    assert {"cat/ü ö/日本.png", "cat/caf\\xe9.png"} <= set(listed)


def test_a_dicom_file_is_listed_without_its_patient(context: Context, folder: Path) -> None:
    write(folder / "cat" / "Doe_Jane" / "Doe.dcm", dicom(1))
    write(folder / "cat" / "Doe_Jane" / "IM2", dicom(2))
    write(folder / "dog" / "Doe.dcm", b"broken")
    write(folder / "Doe_John" / "IM3", dicom(3))
    landed = landing.run(spec(), context, str(folder))
    assert landed.quarantined == {"corrupt": 1, "unlabelled": 1}
    content = context.store.read(f"{landed.path}/files.parquet")
    assert not [name for name in rows(context, landed) if "Doe" in name]
    assert "Doe" not in str(rows(context, landed))
    assert b"Doe" not in content
    found = [r for r in rows(context, landed).values() if r["format"] == "DICOM" and r["label"]]
    assert len({row["group"] for row in found}) == 1
    assert all(row["source_path"].startswith("cat/") for row in found)


def test_the_group_in_a_dicom_files_name_is_a_pseudonym_too(context: Context, folder: Path) -> None:
    write(folder / "cat" / "Doe_1.dcm", dicom(1))
    named = spec(landing={"group_pattern": r"^(?P<group>\w+)_"})
    listed = rows(context, landing.run(named, context, str(folder)))
    groups = [row["group"] for row in listed.values() if row["format"] == "DICOM"]
    assert groups[0]
    assert groups[0] != "Doe"


def test_a_later_landing_may_bring_one_class_only(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    ingest.run(spec(), context, landing.run(spec(), context, str(folder)))
    write(tmp_path / "drop" / "cat" / "50.png", png(drawing(50)))
    assert landing.run(spec(), context, str(tmp_path / "drop")).accepted == 1


def test_a_folder_that_is_not_as_the_spec_says_leaves_nothing(
    context: Context, tmp_path: Path
) -> None:
    write(tmp_path / "landing" / "cat" / "1.png", png(drawing(1)))
    with pytest.raises(LandingError, match="nothing of class dog"):
        landing.run(spec(), context, str(tmp_path / "landing"))
    assert context.store.names("pets") == []
