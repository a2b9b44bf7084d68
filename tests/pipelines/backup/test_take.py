"""A backup appears whole or not at all, and how it went is known."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.backup import take
from pipelines.backup.manifest import BackupManifest, read_manifest, verify, write_manifest
from pipelines.backup.ownership import backups_in, installation_id
from pipelines.backup.state import read_state
from pipelines.errors import BackupError, LayoutError
from pipelines.layout import FILE
from pipelines.settings import Settings
from pipelines.storage import open_store
from pipelines.storage.local import LocalStore

RECORDS = {
    "d/snapshots/0001-ab/manifest.json",
    "d/tables/images/_delta_log/00000000000000000000.json",
    "d/tables/images/ab.parquet",
    "d/tables/splits/ab.parquet",
    "d/splits/cd/leaks.json",
    FILE,
}
PICTURES = {"d/packs/cd/images-00000.parquet"}


@pytest.fixture
def used(installation: Settings) -> Settings:
    """An installation without databases that has been used."""
    store = open_store(installation)
    for path in (RECORDS | PICTURES) - {FILE}:
        store.write(path, path.encode())
    store.write("d/snapshots/.staging-0002/images-00000.parquet", b"half")
    installation.home.mkdir(exist_ok=True)
    (installation.home / "pseudonyms.key").write_bytes(b"k" * 32)
    return installation


def backup(settings: Settings, *, pictures: bool = True, keep: int = 7) -> Path:
    return take.run(settings, pictures=pictures, keep=keep)


def folders(place: Path) -> list[Path]:
    """The backups in a folder, the newest first."""
    return [folder for folder, _ in backups_in(place)]


def files_below(folder: Path) -> dict[str, bytes]:
    """Each file below a folder, with its content."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def shown(settings: Settings) -> dict[str, float]:
    """What Prometheus is told."""
    text = (settings.home / "metrics" / "backup.prom").read_text()
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    return {sample.name.removeprefix("medloop_backup_"): sample.value for sample in samples}


def test_with_pictures_all_that_stands_is_in_it(used: Settings) -> None:
    folder = backup(used)

    manifest = verify(folder)
    assert set(manifest.below("store")) == RECORDS | PICTURES
    assert (folder / "store" / min(PICTURES)).read_bytes() == min(PICTURES).encode()
    assert set(manifest.below("home")) == {"pseudonyms.key", FILE}
    assert manifest.partial == ()
    assert "phantom.yaml" in manifest.below("datasets")


def test_without_pictures_records_are_in_it_and_what_lacks_them_is_named(used: Settings) -> None:
    manifest = verify(backup(used, pictures=False))

    assert set(manifest.below("store")) == RECORDS
    assert manifest.partial == ("d/packs/cd", "d/snapshots/0001-ab", "d/tables/images")


def test_the_oldest_are_removed_once_a_new_one_stands(used: Settings) -> None:
    (used.backups / "notes").mkdir(parents=True)
    first, second, third = (backup(used, keep=2) for _ in range(3))

    assert folders(used.backups) == [third, second]
    assert not first.exists()
    assert (used.backups / "notes").is_dir()


def test_how_the_last_one_went_is_known(used: Settings) -> None:
    assert read_state(used).succeeded_at is None

    folder = backup(used)

    state = read_state(used)
    assert state.path == folder
    assert state.bytes == read_manifest(folder).bytes
    assert state.failed_at is None
    assert state.succeeded_at is not None
    assert 0 <= (datetime.now(UTC) - state.succeeded_at).total_seconds() < 60
    assert shown(used)["last_success_timestamp_seconds"] == state.succeeded_at.timestamp()
    assert shown(used)["failed"] == 0


def test_one_that_fails_leaves_nothing_but_its_reason(used: Settings) -> None:
    good = backup(used)
    open_store(used).write_json(FILE, {"version": 99, "medloop": "7.5.0"})

    with pytest.raises(LayoutError, match=r"7\.5\.0"):
        backup(used)

    state = read_state(used)
    assert state.path == good
    assert state.failed_at is not None
    assert "LayoutError" in str(state.error)
    assert shown(used)["failed"] == 1
    assert [p.name for p in used.backups.iterdir() if p.is_dir()] == [good.name]


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(used: Settings) -> None:
    used.backups.parent.mkdir(exist_ok=True)
    (used.home / "file").write_bytes(b"")

    with pytest.raises(BackupError, match="could not be written"):
        take.run(used, to=used.home / "file" / "backups", pictures=True, keep=1)


def test_backups_that_go_into_the_home_are_not_in_one_another(used: Settings) -> None:
    for _ in range(2):
        folder = take.run(used, to=used.home / "mine", pictures=True, keep=7)

    assert not any("mine" in name for name in read_manifest(folder).files)


def test_two_at_once_are_refused(used: Settings) -> None:
    used.backups.mkdir(parents=True)
    with (
        take._alone(used.backups, installation_id(used)),
        pytest.raises(BackupError, match="Another backup"),
    ):
        backup(used)


def test_what_a_killed_one_leaves_is_no_backup_and_is_swept(used: Settings) -> None:
    os.mkfifo(used.home / "blocks")  # a fifo is no file: it is left out
    big = used.home / "big"
    with big.open("wb") as file:
        file.truncate(3_000_000_000)
    process = multiprocessing.get_context("fork").Process(target=backup, args=(used,))
    process.start()
    while not list(used.backups.glob(".medloop-*/home/big")):
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert folders(used.backups) == []
    big.unlink()

    folder = backup(used)

    assert folders(used.backups) == [folder]
    assert [path.name for path in used.backups.glob(".medloop-*") if path.is_dir()] == []


def test_files_that_are_merged_meanwhile_are_in_it_one_way_or_the_other(used: Settings) -> None:
    store = open_store(used)
    day = "d/served/2026-11-21"
    store.write(f"{day}/merged-0", b"0,")
    merging = threading.Event()

    def merge() -> None:
        for number in range(1, 300):
            before = store.read(f"{day}/merged-{number - 1}")
            store.write(f"{day}/merged-{number}", before + b"%d," % number)
            store.delete(f"{day}/merged-{number - 1}")
            merging.set()

    thread = threading.Thread(target=merge)
    thread.start()
    merging.wait()
    folder = backup(used)
    thread.join()

    assert list((folder / "store" / day).iterdir())
    verify(folder)


def test_what_this_installation_did_not_make_is_never_removed(
    used: Settings, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    theirs = used.model_copy(update={"home": tmp_path / "another home"})
    other = take.run(theirs, to=shared, pictures=True, keep=1)
    earlier = take.run(used, to=shared, pictures=True, keep=9)
    manifest = read_manifest(earlier).model_copy(update={"installation": None, "format_version": 1})
    write_manifest(earlier, manifest)
    for name in ("medloop-thesis", ".medloop-cache", "medloop-20200101T000000.000Z"):
        (shared / name).mkdir()
        (shared / name / "work.txt").write_text("of years")
    (shared / "elsewhere").mkdir()
    (shared / "elsewhere" / "kept").write_text("kept")
    (shared / "medloop-link").symlink_to(shared / "elsewhere")
    (shared / ".lock").write_text("another program's")
    unfinished = shared / ".medloop-20260101T000000.000Z"
    unfinished.mkdir()
    (unfinished / "unfinished.json").write_text('{"installation": "another"}')
    before = files_below(shared)

    for _ in range(3):
        newest = take.run(used, to=shared, pictures=True, keep=1)

    after = {
        name: content
        for name, content in files_below(shared).items()
        if not name.startswith((newest.name, f".medloop-{installation_id(used)}"))
    }
    assert after == {name: content for name, content in before.items() if name in after}
    assert set(before) - set(after) == {f".medloop-{installation_id(used)}.lock"}
    assert folders(shared) == [newest, earlier, other]


def test_a_file_that_somebody_put_into_an_old_backup_stays(used: Settings, tmp_path: Path) -> None:
    old = backup(used, keep=1)
    (old / "home" / "notes.txt").write_text("why we kept it")
    (tmp_path / "outside").write_text("not ours")
    (old / "home" / "pseudonyms.key").unlink()
    (old / "home" / "pseudonyms.key").symlink_to(tmp_path / "outside")

    newest = backup(used, keep=1)

    assert folders(used.backups) == [newest]
    left = [path for path in old.rglob("*") if not path.is_dir()]
    assert sorted(path.name for path in left) == ["notes.txt", "pseudonyms.key"]
    assert (tmp_path / "outside").read_text() == "not ours"


def test_a_forged_manifest_cannot_have_files_elsewhere_deleted(used: Settings) -> None:
    victim = used.backups / "victim"
    old = backup(used, keep=1)
    victim.write_text("not ours")
    manifest = read_manifest(old)
    files = manifest.files | {"../victim": next(iter(manifest.files.values()))}
    forged = BackupManifest.model_construct(**dict(manifest) | {"files": files})
    write_manifest(old, forged)

    newest = backup(used, keep=1)

    assert victim.read_text() == "not ours"
    assert folders(used.backups) == [newest]
    assert old.is_dir()


def test_the_newest_stays_although_the_clock_was_set_back(
    used: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Past":  # noqa: ARG003
            return cls(2001, 1, 1, tzinfo=UTC)

    future = backup(used)
    monkeypatch.setattr(take, "datetime", Past)

    newest = backup(used, keep=1)

    assert folders(used.backups) == [newest]
    assert not future.exists()


def test_a_removal_that_was_killed_is_finished_by_the_next_backup(used: Settings) -> None:
    old = backup(used)
    aside = old.rename(old.with_name(f".{old.name}"))
    min(path for path in (aside / "home").rglob("*") if path.is_file()).unlink()

    newest = backup(used)

    assert not aside.exists()
    assert folders(used.backups) == [newest]


def test_what_a_copied_log_names_is_copied_too(
    used: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, pack = "d/tables/images", "d/packs/x/images-00000.parquet"
    log, part = f"{table}/_delta_log/00000000000000000001.json", f"{table}/new.parquet"
    walk = LocalStore.walk

    def while_others_write(store: LocalStore, path: str = "") -> Iterator[str]:
        yield from list(walk(store, path))
        for new in (pack, part, log) if not path else ():
            store.write(new, b"new")

    monkeypatch.setattr(LocalStore, "walk", while_others_write)
    copied = verify(backup(used)).below("store")
    assert {pack, part} <= set(copied)
    assert log not in copied
