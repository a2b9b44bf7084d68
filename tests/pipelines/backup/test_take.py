"""A backup appears whole or not at all, and how it went is known."""

import multiprocessing
import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.backup import take
from pipelines.backup.manifest import read_manifest, verify
from pipelines.backup.state import read_state
from pipelines.errors import BackupError, LayoutError
from pipelines.layout import FILE
from pipelines.settings import Settings
from pipelines.storage import open_store

RECORDS = {
    "d/snapshots/0001-ab/index.parquet",
    "d/snapshots/0001-ab/manifest.json",
    "d/splits/cd/split.parquet",
    FILE,
}
PICTURES = {"d/snapshots/0001-ab/images-00000.parquet"}


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
    assert manifest.partial == ("d/snapshots/0001-ab",)


def test_the_oldest_are_removed_once_a_new_one_stands(used: Settings) -> None:
    (used.backups / "notes").mkdir(parents=True)
    first, second, third = (backup(used, keep=2) for _ in range(3))

    assert take.backups_in(used.backups) == [third, second]
    assert not first.exists()
    assert (used.backups / "notes").is_dir()


def test_how_the_last_one_went_is_known(used: Settings) -> None:
    assert read_state(used).age_seconds(datetime.now(UTC)) is None

    folder = backup(used)

    state = read_state(used)
    assert state.path == folder
    assert state.bytes == read_manifest(folder).bytes
    assert 0 <= (state.age_seconds(datetime.now(UTC)) or -1) < 60
    assert state.failed_at is None
    assert state.succeeded_at is not None
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
    with take._alone(used.backups), pytest.raises(BackupError, match="Another backup"):
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
    assert take.backups_in(used.backups) == []
    big.unlink()

    folder = backup(used)

    assert take.backups_in(used.backups) == [folder]
    assert list(used.backups.glob(".medloop-*")) == []


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
