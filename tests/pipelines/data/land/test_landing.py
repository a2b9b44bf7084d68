import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines import guarded, imaging
from pipelines.data.checks import check_tables
from pipelines.data.folders import LandingFolder, LocalFolder
from pipelines.data.land import executor, ingest, landing, ledger, opening
from pipelines.data.land.examine import Examined, examine
from pipelines.data.land.landing import LANDED
from pipelines.data.land.originals import PSEUDONYM, LandedFiles
from pipelines.data.land.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.data.parquet_files import read_rows
from pipelines.data.rows import Refused
from pipelines.data.tables import Table
from pipelines.errors import LandingError, StoreUnavailable
from pipelines.guarded import Lost, TookTooLong
from pipelines.imaging import Limits
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
    write(folder / "bird" / "1.png", png(drawing(50)))
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


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of just now count as written long ago."""
    monkeypatch.setattr(ledger, "SETTLED_SECONDS", 0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are opened, which happens in this process."""
    paths: list[str] = []

    def call_here(function: Any, items: list[str], **_: Any) -> Iterator[tuple[str, Any]]:
        for item in items:
            paths.append(item)
            yield item, function(item)

    monkeypatch.setattr(guarded, "call_each", call_here)
    return paths


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_not_opened_again(
    context: Context, folder: Path, opened: list[str]
) -> None:
    first = landing.run(spec(), context, str(folder))
    assert landing.run(spec(), context, str(folder)) == first
    assert len(opened) == 8


@pytest.mark.usefixtures("settled")
def test_a_file_replaced_by_one_of_the_same_size_and_time_is_opened(
    context: Context, folder: Path
) -> None:
    first = landing.run(spec(), context, str(folder))
    path = folder / "cat" / "000.png"
    status = path.stat()
    for replace in (
        lambda new: path.write_bytes(new),
        lambda new: write(folder.parent / "new.png", new).replace(path),
    ):
        replace(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert landing.run(spec(), context, str(folder)).quarantined == {"unknown_format": 1}
        path.write_bytes(png(drawing(0)))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert landing.run(spec(), context, str(folder)) == first


def test_many_files_are_opened_by_several_processes_with_the_same_result(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = class_folders(tmp_path / "many", per_class=6)
    one = landing.run(spec(), context, str(folder))
    shutil.rmtree(context.settings.home / "landed")
    monkeypatch.setattr(opening, "FEW_FILES", 1)
    assert landing.run(spec(), context, str(folder)).id == one.id
    assert one.accepted == 12


def open_or_end(source: LandingFolder, path: str, names: Pseudonyms, *, limits: Limits) -> Examined:
    """Opens a file in another process; one name is the end of it."""
    if "crash" in path:
        os._exit(9)
    if "error" in path:
        raise StoreUnavailable("HDFS does not answer")
    return examine(source, path, names, limits=limits)


def test_a_file_that_ends_its_process_is_named_and_the_others_land(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "cat" / "crash.png", png(drawing(50)))
    monkeypatch.setattr(executor, "examine", open_or_end)
    landed = landing.run(spec(), context, str(folder))
    assert (landed.accepted, landed.quarantined) == (8, {"process_died": 1})
    assert rows(context, landed)["cat/crash.png"]["reason"] == "process_died"
    assert ingest.run(spec(), context, landed).images == 8


def test_a_file_that_is_never_opened_to_the_end_is_named_unless_its_name_may_be_a_patients(
    context: Context, folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "cat" / "slow.png", png(drawing(51)))
    write(folder / "cat" / "Doe_slow", dicom(1))
    call_here = guarded.call_each

    def with_slow_ones(function: Any, items: list[str], **limits: Any) -> Iterator[Any]:
        yield from call_here(function, [item for item in items if "slow" not in item], **limits)
        for item in items:
            if "slow" in item:
                yield item, Lost(item, TookTooLong())

    monkeypatch.setattr(guarded, "call_each", with_slow_ones)
    landed = landing.run(spec(), context, str(folder))
    assert (landed.accepted, landed.quarantined) == (8, {"timeout": 2})
    listed = rows(context, landed)
    assert listed["cat/slow.png"]["reason"] == "timeout"
    assert "Doe" not in str(listed)
    assert len(opened) == 8


def test_a_store_that_does_not_answer_ends_the_landing(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "cat" / "error.png", png(drawing(50)))
    monkeypatch.setattr(executor, "examine", open_or_end)
    with pytest.raises(StoreUnavailable, match="HDFS does not answer"):
        landing.run(spec(), context, str(folder))


@pytest.mark.usefixtures("settled")
def test_a_landing_that_was_cut_off_goes_on_where_it_was_and_tries_again_what_may_heal(
    context: Context, folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: LandingFolder, path: str, names: Pseudonyms, *, limits: Limits) -> Examined:
        if len(opened) == 4:
            raise KeyboardInterrupt
        if len(opened) == 2:
            return Examined(reason="unexpected_error")
        return examine(source, path, names, limits=limits)

    monkeypatch.setattr(executor, "PACK_BYTES", 1)
    with monkeypatch.context() as failing:
        failing.setattr(executor, "examine", fail)
        with pytest.raises(KeyboardInterrupt):
            landing.run(spec(), context, str(folder))
    assert landing.run(spec(), context, str(folder)).accepted == 8
    assert len(opened) == 4 + 6, "two are not opened again"


def test_an_unexpected_error_is_logged_with_the_files_name(
    context: Context,
    folder: Path,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    decode = imaging.decode

    def fail_once(data: bytes, **limits: Any) -> Any:
        if len(opened) == 3:
            raise ValueError
        return decode(data, **limits)

    monkeypatch.setattr(imaging, "decode", fail_once)
    landed = landing.run(spec(), context, str(folder))
    assert (landed.accepted, landed.quarantined) == (7, {"unexpected_error": 1})
    assert opened[2] in caplog.text
    assert "in fail_once" in caplog.text


def test_names_that_are_not_text_land_wherever_they_are_kept(
    context: Context, folder: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    write(folder / odd / "1.png", png(drawing(50)))
    write(folder / "cat" / f"{odd}_1.png", png(drawing(51)))
    pattern = r"^(?P<group>.+)_"
    named = spec(landing={"group_pattern": pattern, "metadata_pattern": pattern})
    listed = rows(context, landing.run(named, context, str(folder)))
    assert listed["caf\\xe9/1.png"]["landing_label"] == "caf\\xe9"
    assert PSEUDONYM.fullmatch(listed["cat/caf\\xe9_1.png"]["group"])


def test_a_copy_of_an_accepted_file_without_a_label_is_no_reason_to_stop(
    context: Context, folder: Path
) -> None:
    shutil.copytree(folder, folder / "again")
    write(folder / "again" / "cat" / "new.png", png(drawing(77)))
    landed = landing.run(spec(checks={"max_quarantined": 0.2}), context, str(folder))
    assert (landed.files, landed.accepted, landed.copies) == (17, 8, 8)
    assert landed.quarantined == {"unlabelled": 1}
    assert "cat/000.png" in rows(context, landed)["again/cat/000.png"]["message"]
    table = check_tables.landing_table(context, landed)
    assert len(table) == 9, "the share of refused files is one of those that are not copies"
    snapshot = ingest.run(spec(), context, landed)
    assert snapshot.images == 8
    assert snapshot.quarantine == "pets/tables/quarantine"
    refused = Table.open(context, "pets", Refused).arrow(["source_path"])
    assert refused.to_pylist() == [{"source_path": "again/cat/new.png"}], "copies are not refused"


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


def test_the_file_behind_a_pseudonym_is_found_by_whoever_has_the_folder(
    context: Context, folder: Path
) -> None:
    write(folder / "cat" / "Doe.zip", b"PK\x03\x04")
    listed = rows(context, landing.run(spec(), context, str(folder)))
    (name,) = [name for name, row in listed.items() if row["reason"]]
    files = LandedFiles(spec(), LocalFolder(folder), load_pseudonyms(context.settings))
    assert name.endswith(".zip")
    assert files.relative(name) == "cat/Doe.zip"


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
    with pytest.raises(LandingError, match="no images of class dog"):
        landing.run(spec(), context, str(tmp_path / "landing"))
    assert context.store.names("pets") == []
