"""Restoring where no server is needed: what is replaced, what stays, what a failure leaves."""

import json
from pathlib import Path

import psutil
import pytest

import stack
from pipelines import database, layout
from pipelines.backup import take
from pipelines.backup.manifest import MANIFEST, read_manifest, write_manifest
from pipelines.data.land import ingest, landing
from pipelines.data.restore import originals
from pipelines.data.revisions import latest
from pipelines.errors import BackupError, LayoutError, MedloopError
from pipelines.outputs import Snapshot
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from stack import recovery
from stack.testing import isolated_settings
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import index_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with a store in its home, a snapshot and a key."""
    home = tmp_path / "home"
    specs = tmp_path / "datasets"
    specs.mkdir()
    (specs / "pets.yaml").write_text("name: pets\n")
    settings = isolated_settings(home, store=(home / "store").as_uri(), datasets=specs)
    class_folders(home / "landing" / "pets")
    ingested(settings)
    return settings


def ingested(settings: Settings) -> Snapshot:
    context = Context(settings=settings, store=open_store(settings))
    source = str(settings.home / "landing" / "pets")
    return ingest.run(spec(), context, landing.run(spec(), context, source))


def images(settings: Settings) -> list[bytes]:
    context = Context(settings=settings, store=open_store(settings))
    rows = index_of(context, latest(context, "pets"))
    return [data for _, data in originals(context, rows)]


def test_the_home_before_is_moved_aside_and_what_comes_in_stays(settings: Settings) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    before = images(settings)
    (settings.home / "pseudonyms.key").write_bytes(b"another key, of 32 bytes, 123456")

    restored = recovery.restore(settings, backup)

    assert images(settings) == before
    assert restored.aside is not None
    assert (restored.aside / "pseudonyms.key").read_bytes().startswith(b"another key")
    assert not (settings.home / "pseudonyms.key").read_bytes().startswith(b"another key")
    assert (settings.home / "landing" / "pets" / "cat").is_dir()
    assert read_manifest(backup).files
    assert not restored.running


def test_what_was_backed_up_without_images_does_not_count_as_whole(settings: Settings) -> None:
    snapshot, before = ingested(settings), images(settings)
    (packs,) = open_store(settings).names("pets/packs")
    backup = take.run(settings, pictures=False, keep=1)

    restored = recovery.restore(settings, backup)

    tables = ["pets/tables/images", "pets/tables/originals"]
    assert restored.lacking == [f"pets/packs/{packs}", snapshot.path, *tables]
    context = Context(settings=settings, store=open_store(settings))
    assert latest(context, "pets") is None
    assert ingested(settings) == snapshot
    assert images(settings) == before


def test_a_restore_that_fails_leaves_what_was_there(settings: Settings, tmp_path: Path) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    before = images(settings)
    (tmp_path / "file").write_bytes(b"")
    nowhere = settings.model_copy(update={"store": (tmp_path / "file" / "store").as_uri()})

    with pytest.raises((MedloopError, OSError)):
        recovery.restore(nowhere, backup)

    assert images(settings) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["datasets", "file", "home"]


def test_a_home_that_a_newer_release_wrote_is_refused(settings: Settings) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    text = json.dumps({"version": 99, "medloop": "7.5.0"})
    (backup / "home" / layout.FILE).write_text(text)
    _seal_again(backup, f"home/{layout.FILE}")

    with pytest.raises(LayoutError, match=r"7\.5\.0"):
        recovery.restore(settings, backup)
    assert images(settings)


def test_specs_come_back_and_those_that_differ_are_left_and_named(settings: Settings) -> None:
    (settings.datasets / "gone.yaml").write_text("name: gone\n")
    backup = take.run(settings, pictures=True, keep=1)
    (settings.datasets / "gone.yaml").unlink()
    (settings.datasets / "pets.yaml").write_text("name: mine\n")

    restored = recovery.restore(settings, backup)

    assert (settings.datasets / "gone.yaml").read_text() == "name: gone\n"
    assert (settings.datasets / "pets.yaml").read_text() == "name: mine\n"
    assert restored.differing == ["pets.yaml"]


def test_a_store_elsewhere_gets_what_it_lacks_and_keeps_what_it_has(
    settings: Settings, tmp_path: Path
) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    elsewhere = settings.model_copy(update={"store": (tmp_path / "elsewhere").as_uri()})
    store = open_store(elsewhere)
    store.write("other/splits/1/leaks.json", b"theirs")

    recovery.restore(elsewhere, backup)

    assert len(images(elsewhere)) == 8
    assert store.read("other/splits/1/leaks.json") == b"theirs"


def test_a_home_behind_a_link_is_replaced_where_it_is(settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "medloop"
    elsewhere.parent.mkdir()
    settings.home.rename(elsewhere)
    settings.home.symlink_to(elsewhere)
    backup = take.run(settings, pictures=True, keep=1)
    before = images(settings)

    restored = recovery.restore(settings, backup)

    assert settings.home.is_symlink()
    assert restored.aside is not None
    assert restored.aside.parent == elsewhere.parent
    assert images(settings) == before


def test_a_backup_in_the_home_that_would_be_moved_with_it_is_refused(settings: Settings) -> None:
    backup = take.run(settings, to=settings.home / "mine", pictures=True, keep=1)

    with pytest.raises(BackupError, match="Move it elsewhere"):
        recovery.restore(settings, backup)
    assert images(settings)


def test_what_a_killed_restore_left_is_ended_and_removed(settings: Settings) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    left = settings.home.with_name(".home.restoring")
    stack.up(settings.model_copy(update={"home": left}), ["postgres"])
    (left / recovery.MARK).touch()
    (postmaster, *_) = (left / "postgres" / "data" / "postmaster.pid").read_text().splitlines()

    recovery.restore(settings, backup)

    assert not psutil.pid_exists(int(postmaster))
    assert not left.exists()
    assert images(settings)


def test_a_folder_that_no_restore_made_is_not_removed(settings: Settings) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    beside = settings.home.with_name(".home.restoring")
    beside.mkdir()
    (beside / "kept").write_text("of somebody else")

    with pytest.raises(BackupError, match="no unfinished restore made it"):
        recovery.restore(settings, backup)
    assert (beside / "kept").read_text() == "of somebody else"
    assert images(settings)


def test_an_unfinished_backup_is_none(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=MANIFEST):
        recovery.restore(settings, tmp_path)


def _seal_again(backup: Path, name: str) -> None:
    """Make a file that was changed the one that the manifest names."""
    import hashlib

    manifest = read_manifest(backup)
    content = (backup / name).read_bytes()
    file = manifest.files[name].model_copy(
        update={"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    )
    files = {**manifest.files, name: file}
    write_manifest(backup, manifest.model_copy(update={"files": files}))


def test_in_containers_new_volumes_are_filled_and_others_are_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = take.run(settings, pictures=True, keep=1)
    before = images(settings)
    fresh = tmp_path / "volume"
    contained = settings.model_copy(
        update={"home": fresh, "store": (tmp_path / "store").as_uri(), "database_host": "postgres"}
    )
    monkeypatch.setattr(database, "names", lambda _: ["mlflow"])
    with pytest.raises(BackupError, match="mlflow"):
        recovery.restore(contained, backup)
    assert not fresh.exists()

    monkeypatch.setattr(database, "names", lambda _: [])
    restored = recovery.restore(contained, backup)

    assert restored.aside is None
    assert images(contained) == before
    with pytest.raises(BackupError, match="not empty"):
        recovery.restore(contained, backup)
