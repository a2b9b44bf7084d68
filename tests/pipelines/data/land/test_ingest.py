import bz2
import csv
import gzip
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.data.land import executor, ingest, landing, quarantine
from pipelines.data.restore import originals, restore
from pipelines.data.revisions import state
from pipelines.data.tables import Table
from pipelines.errors import LandingError, StoreUnavailable
from pipelines.outputs import Snapshot
from pipelines.settings import PROJECT, Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore
from pipelines.storage.staging import STAGING_PREFIX
from tests.pipelines.data.landing_folders import class_folders, dicom, drawing, png, spec, write
from tests.pipelines.data.recorded import index_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "landing")


def ingested(context: Context, folder: Path, **changes: Any) -> Snapshot:
    landed = landing.run(spec(**changes), context, str(folder))
    return ingest.run(spec(**changes), context, landed)


def held(context: Context, snapshot: Snapshot | None) -> dict[str, bytes]:
    """Source path → original, as the store has it."""
    found = originals(context, index_of(context, snapshot))
    return {row["source_path"]: data for row, data in found}


def refused(context: Context) -> str:
    """The quarantine as CSV."""
    file = io.StringIO(newline="")
    quarantine.write(context, "pets", file)
    return file.getvalue()


def on_disk(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_snapshot_holds_every_original_byte_for_byte(context: Context, folder: Path) -> None:
    snapshot = ingested(context, folder)
    assert held(context, snapshot) == on_disk(folder)
    assert (snapshot.images, snapshot.added, snapshot.parent) == (8, 8, None)
    assert {row["copies"] for row in state(context, snapshot, ["copies"]).to_pylist()} == {1}


def test_the_manifest_tells_where_the_images_came_from(context: Context, folder: Path) -> None:
    snapshot = ingested(context, folder)
    manifest = context.store.read_json(f"{snapshot.path}/manifest.json")
    assert manifest["output"] == snapshot.model_dump()
    assert manifest["source"]["licence"] == "CC0-1.0"
    assert manifest["source"]["consent"] == "Not needed"
    assert manifest["counts"] == {"cat": 4, "dog": 4}
    (pack,) = manifest["files"]
    content = context.store.read(pack["name"])
    assert (pack["bytes"], pack["images"]) == (len(content), 8)
    assert hashlib.sha256(content).hexdigest() == pack["name"].split("/")[2]


def test_the_same_landing_again_makes_no_new_snapshot(context: Context, folder: Path) -> None:
    first = ingested(context, folder)
    assert ingested(context, folder) == first
    assert context.store.names("pets/snapshots") == [first.id]


def test_another_installation_gives_the_same_snapshot_its_name(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    other = Context(context.settings, LocalStore(tmp_path / "other"))
    assert ingested(other, folder).id == ingested(context, folder).id


def test_new_files_make_a_snapshot_that_adds_only_them(context: Context, folder: Path) -> None:
    first = ingested(context, folder)
    class_folders(folder, per_class=1, first=50)
    second = ingested(context, folder)
    assert (second.images, second.added, second.parent) == (10, 2, first.id)
    (pack,) = context.store.read_json(f"{second.path}/manifest.json")["files"]
    assert pack["images"] == 2
    assert held(context, second) == on_disk(folder)
    assert ingest.latest(context, "pets") == second


def test_a_landing_folder_of_new_files_only_adds_to_what_stands(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    ingested(context, folder)
    drop = class_folders(tmp_path / "drop", per_class=2, first=50)
    second = ingested(context, drop)
    assert held(context, second) == on_disk(folder) | on_disk(drop)


def test_files_of_one_name_from_two_landings_are_both_kept(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    ingested(context, folder)
    drop = class_folders(tmp_path / "drop", per_class=1, first=50)
    (drop / "cat" / "050.png").rename(drop / "cat" / "000.png")
    second = ingested(context, drop)
    paths = [row["source_path"] for row in index_of(context, second)]
    assert paths.count("cat/000.png") == 2
    assert second.images == 10


def test_the_newest_landing_says_what_an_image_shows(context: Context, folder: Path) -> None:
    ingested(context, folder)
    (folder / "cat" / "000.png").rename(folder / "dog" / "was_cat.png")
    second = ingested(context, folder)
    labels = {row["source_path"]: row["label"] for row in index_of(context, second)}
    assert labels["dog/was_cat.png"] == "dog"
    assert "cat/000.png" not in labels
    assert context.store.read_json(f"{second.path}/manifest.json")["files"] == [], "no new bytes"


def test_what_is_gone_from_the_landing_folder_stays_in_the_data_set(
    context: Context, folder: Path
) -> None:
    first = ingested(context, folder)
    (folder / "cat" / "000.png").unlink()
    assert ingested(context, folder) == first


def test_the_same_bytes_are_stored_once(context: Context, folder: Path) -> None:
    shutil.copy2(folder / "cat" / "000.png", folder / "cat" / "copy.png")
    snapshot = ingested(context, folder)
    (pack,) = context.store.read_json(f"{snapshot.path}/manifest.json")["files"]
    assert (snapshot.images, pack["images"]) == (9, 8)
    assert held(context, snapshot) == on_disk(folder)


def test_many_images_make_several_packs(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "PACK_BYTES", 10_000)
    snapshot = ingested(context, folder)
    assert len(context.store.read_json(f"{snapshot.path}/manifest.json")["files"]) == 2
    assert held(context, snapshot) == on_disk(folder)


def test_each_file_is_read_once(context: Context, folder: Path) -> None:
    content = on_disk(folder)
    landed = landing.run(spec(), context, str(folder))
    shutil.rmtree(folder)
    assert held(context, ingest.run(spec(), context, landed)) == content


def test_originals_that_are_gone_since_they_landed_stop_the_snapshot(
    context: Context, folder: Path
) -> None:
    landed = landing.run(spec(), context, str(folder))
    context.store.delete("pets/tables/originals")
    with pytest.raises(LandingError, match=rf"landing {landed.id} are no longer stored \(8 of 8"):
        ingest.run(spec(), context, landed)
    assert ingest.latest(context, "pets") is None


def test_refused_files_are_kept_each_with_its_reason(context: Context, folder: Path) -> None:
    write(folder / "cat" / "text.png", b"just some text")
    write(folder / "bird" / "1.png", png(drawing(9)))
    write(folder / "cat" / "large.png", b"\x89PNG" + bytes(200_000))
    write(folder / "dog" / "Doe.dcm", dicom(1, BurnedInAnnotation="YES"))
    snapshot = ingested(context, folder, limits={"max_megabytes": 0.1})
    assert snapshot.quarantine == "pets/tables/quarantine"
    text = refused(context)
    reasons = {row["source_path"]: row for row in csv.DictReader(io.StringIO(text))}
    assert {row["reason"] for row in reasons.values()} == {
        "unknown_format",
        "unlabelled",
        "too_large",
        "burned_in_text",
    }
    copied = {path for path, row in reasons.items() if row["copied"] == "True"}
    assert copied == {"bird/1.png"}, "only what is proven to be an image"
    (back,) = restore(context, "pets", what="bird/1.png", target=folder.parent / "back")
    assert back.read_bytes() == png(drawing(9))
    assert "Doe" not in text


def packed_rows(context: Context) -> list[int]:
    """Rows of each pack."""
    packs = [path for path in context.store.walk("pets/packs") if path.endswith(".parquet")]
    return [pq.read_metadata(io.BytesIO(context.store.read(path))).num_rows for path in packs]


def disguised(dicom: bytes) -> dict[str, bytes]:
    """A DICOM file as people send it: without its preamble, in an archive, cut, or as text."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("Doe_Jane.dcm", dicom)
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as packed_too:
        packed_too.add(__file__, "Doe_Jane.py")
    dataset = dicom[132 + 12 + int.from_bytes(dicom[140:144], "little") :]
    return {
        "Doe_Jane_IM1": dataset,
        "Doe_Jane_IM2": dicom[132:],
        "Doe_Jane.zip": archive.getvalue(),
        "Doe_Jane.dcm.gz": gzip.compress(dicom),
        "Doe_Jane.tar": tape.getvalue(),
        "Doe_Jane.bz2": bz2.compress(dicom),
        "Doe_Jane.jpg": b"\xff\xd8\xff" + dicom,
        "Doe_Jane.tif": b"II*\0" + dicom[4:128] + b"DICX" + dicom[132:],
        "Doe_Jane.hl7": b"PID|1||SECRET-4711||Doe^Jane||19700101",
        "Doe_Jane": b"\0" * 500 + dicom,
        "Doe_Jane.png": png(drawing(1))[:40] + dicom,
        "Doe_Jane.dcm": dicom[:500],
    }


def without_chance(name: str, data: bytes) -> bytes:
    """A file without what may have any digits: hashes and pseudonyms, and in the log of a table
    sizes and times."""
    data = re.sub(rb"[0-9a-f]{16,}", b"", data)
    return re.sub(rb"\d+", b"", data) if "/_delta_log/" in name else data


def test_nothing_that_may_name_a_patient_is_stored_logged_or_reported(
    context: Context, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    files = disguised(dicom(1))
    for name, data in files.items():
        write(folder / "cat" / "Doe_Family" / name, data)
    landed = landing.run(spec(), context, str(folder))
    whole = {"Doe_Jane_IM1", "Doe_Jane_IM2"}  # DICOM without a preamble: read, de-identified
    assert sum(landed.quarantined.values()) == len(files) - len(whole)
    snapshot = ingest.run(spec(), context, landed)
    assert refused(context).count("False") == len(files) - len(whole)
    assert len(held(context, snapshot)) == 8 + len(whole)
    assert packed_rows(context) == [8 + 1], "both show the same image; nothing else is kept"
    kept = on_disk(Path(context.store.folder))  # type: ignore[attr-defined]
    kept |= on_disk(context.settings.home) | {"log": caplog.text.encode()}
    for particular in (b"Doe", b"SECRET", b"4711", b"19700101"):
        assert not [name for name, data in kept.items() if particular in without_chance(name, data)]
        names = [without_chance("", name.encode()) for name in kept]
        assert not [name for name in names if particular in name]


def test_files_refused_later_are_kept_though_the_snapshot_stands(
    context: Context, folder: Path
) -> None:
    first = ingested(context, folder)
    write(folder / "cat" / "text.png", b"just some text")
    for _ in range(2):
        assert ingested(context, folder) == first
        assert refused(context).count("unknown_format") == 1


def test_no_patient_of_a_dicom_file_enters_the_store(context: Context, folder: Path) -> None:
    write(folder / "cat" / "Doe_Jane" / "IM1", dicom(1))
    write(folder / "bird" / "Doe.dcm", dicom(2))
    snapshot = ingested(context, folder)
    stored = on_disk(Path(context.store.folder))  # type: ignore[attr-defined]
    for particular in (b"Doe", b"SECRET", b"4711"):
        assert not [n for n, data in stored.items() if particular in without_chance(n, data)]
    (name,) = [name for name in held(context, snapshot) if name.endswith(".dcm")]
    assert held(context, snapshot)[name][128:132] == b"DICM"


def test_a_store_that_alters_bytes_is_noticed_before_anything_is_seen(
    context: Context, folder: Path
) -> None:
    class Forgetful(LocalStore):
        def upload(self, local: Path, path: str) -> None:
            data = local.read_bytes()
            self.write(path, data[:500] + b"?" + data[501:])

    broken = Context(context.settings, Forgetful(context.store.folder))  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable, match="read back with other bytes"):
        ingested(broken, folder)
    assert ingest.latest(context, "pets") is None


def test_what_a_killed_landing_has_packed_is_not_packed_again(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.delattr(Table, "register")
        with pytest.raises(AttributeError):
            ingested(context, folder)
    packed = context.store.names("pets/packs")
    monkeypatch.delattr(LocalStore, "upload")
    assert held(context, ingested(context, folder)) == on_disk(folder)
    assert context.store.names("pets/packs") == packed


KILLED = """
import sys, time
from pathlib import Path
from pipelines.data.land import ingest, landing
from pipelines.stage import default_context
from tests.pipelines.data.landing_folders import spec

context = default_context()
upload = type(context.store).upload
def stuck(store, local, path):
    local.write_bytes(local.read_bytes()[:1000])
    upload(store, local, path)
    print("half", flush=True)
    time.sleep(600)
type(context.store).upload = stuck
ingest.run(spec(), context, landing.run(spec(), context, sys.argv[1]))
"""


def killed_while_uploading(settings: Settings, folder: Path) -> None:
    """Run an ingestion, and end it without mercy when half a pack has been uploaded."""
    environment = os.environ | {
        "MEDLOOP_HOME": str(settings.home),
        "MEDLOOP_STORE": settings.store_root,
        "MEDLOOP_WEBHDFS_URL": settings.webhdfs,
    }
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)


def check_recovery(context: Context, folder: Path) -> None:
    killed_while_uploading(context.settings, folder)
    assert ingest.latest(context, "pets") is None
    assert context.store.names("pets/snapshots") == []
    assert context.store.hidden("pets/packs")[0].startswith(STAGING_PREFIX)
    snapshot = ingested(context, folder)
    assert held(context, snapshot) == on_disk(folder)
    assert context.store.hidden("pets/packs") == []


def test_a_killed_ingestion_shows_nothing_and_the_next_one_completes_it(
    context: Context, folder: Path
) -> None:
    check_recovery(context, folder)


def test_the_same_holds_in_hdfs(hdfs: Settings, folder: Path) -> None:
    context = Context(hdfs, open_store(hdfs))
    check_recovery(context, folder)
    class_folders(folder, per_class=1, first=50)
    second = ingested(context, folder)
    assert (second.images, second.added) == (10, 2)
    assert held(context, ingest.latest(context, "pets")) == on_disk(folder)
