"""A backup is believed only where each file is the one that was written."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.backup.copying import Copies
from pipelines.backup.manifest import (
    MANIFEST,
    BackupManifest,
    read_manifest,
    verify,
    write_manifest,
)
from pipelines.errors import BackupError


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content")
    copies = Copies(tmp_path / "backup")
    copies.add_folder("home", tmp_path, without=set())
    manifest = BackupManifest(
        medloop="0.1.0",
        git_commit=None,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
        home="/srv/medloop",
        store="file:///srv/store",
        databases={"airflow": "", "mlflow": "mlflow 3.17.2"},
        pictures=False,
        files=copies.files,
    )
    write_manifest(copies.folder, manifest)
    return copies.folder


def test_a_whole_backup_says_what_it_holds(backup: Path) -> None:
    manifest = verify(backup)

    assert manifest.below("home") == ["file"]
    assert manifest.bytes == 7
    assert (backup / MANIFEST).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"c0ntent", "home/file is not the file that was written"),
        (b"content!", "home/file has 8 bytes, not 7"),
        (None, "home/file is missing"),
    ],
)
def test_a_damaged_file_is_named(backup: Path, content: bytes | None, said: str) -> None:
    file = backup / "home" / "file"
    file.unlink()
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(BackupError, match=said):
        verify(backup)


def test_a_backup_of_a_newer_release_is_refused_with_its_name(backup: Path) -> None:
    content = json.loads((backup / MANIFEST).read_text())
    later = content | {"format_version": 3, "medloop": "7.5.0", "unheard_of": True}
    (backup / MANIFEST).write_text(json.dumps(later))

    with pytest.raises(
        BackupError, match=r"format 3, made by Medloop 7\.5\.0.*reads formats 1 to 2"
    ):
        read_manifest(backup)


def test_an_altered_manifest_is_refused(backup: Path) -> None:
    content = json.loads((backup / MANIFEST).read_text())
    content["files"] = {}
    (backup / MANIFEST).write_text(json.dumps(content))

    with pytest.raises(BackupError, match="altered"):
        verify(backup)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"format_version": 1}'])
def test_what_is_no_manifest_is_refused(backup: Path, text: str) -> None:
    (backup / MANIFEST).write_text(text)

    with pytest.raises(BackupError, match=r"backup\.json"):
        verify(backup)


def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is not a backup"):
        verify(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["home/../../payload", "/etc/payload", "home\\..\\payload", "C:payload", "home//x", "./x", ""],
)
def test_a_path_that_leads_out_of_the_backup_is_refused(backup: Path, name: str) -> None:
    manifest = read_manifest(backup)
    (backup.parent / "payload").write_bytes(b"content")
    files = {name: manifest.files["home/file"]}
    write_manifest(backup, BackupManifest.model_construct(**dict(manifest) | {"files": files}))

    with pytest.raises(BackupError, match="not a path inside a folder"):
        verify(backup)


def test_a_link_in_a_backup_is_refused(backup: Path) -> None:
    (backup / "home" / "file").unlink()
    (backup / "home" / "file").symlink_to(backup.parent / "file")

    with pytest.raises(BackupError, match="symbolic link"):
        verify(backup)


def test_a_database_name_that_would_be_sql_is_refused(backup: Path) -> None:
    manifest = read_manifest(backup)
    databases = {'x"; DROP DATABASE mlflow; --': ""}
    forged = BackupManifest.model_construct(**dict(manifest) | {"databases": databases})
    write_manifest(backup, forged)

    with pytest.raises(BackupError, match="databases"):
        read_manifest(backup)
