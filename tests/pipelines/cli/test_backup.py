"""``medloop backup`` and ``medloop restore-backup``, where no server is needed."""

from pathlib import Path

import pytest

from pipelines.backup.ownership import backups_in as listed
from pipelines.cli import main
from pipelines.settings import Settings, get_settings
from pipelines.storage import open_store

Output = pytest.CaptureFixture[str]


@pytest.fixture
def used(tmp_path: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with a key, specs of its own, and images."""
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path / "datasets"))
    get_settings.cache_clear()
    installation.home.mkdir()
    (installation.home / "pseudonyms.key").write_bytes(b"k" * 32)
    open_store(installation).write("d/snapshots/1/images-00000.parquet", b"pictures")
    return get_settings()


def backups_in(place: Path) -> list[Path]:
    return [folder for folder, _ in listed(place)]


def medloop(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["medloop", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_backup_is_taken_listed_and_verified(
    used: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    assert medloop(monkeypatch, "backup", "list") == 0
    assert "No backups yet" in capsys.readouterr().out

    assert medloop(monkeypatch, "backup") == 0
    told = capsys.readouterr()
    (folder,) = backups_in(used.backups)
    assert str(folder) in told.out
    assert "Without their pictures: 1 of the store's folders" in told.out
    assert "No database is in it" in told.err

    assert medloop(monkeypatch, "backup", "list") == 0
    assert folder.name in capsys.readouterr().out.replace("\n", "")
    assert medloop(monkeypatch, "backup", "verify", str(folder)) == 0
    assert "whole" in capsys.readouterr().out


def test_where_it_goes_and_how_many_stay_can_be_said(
    used: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        where = ["--to", str(tmp_path / "elsewhere"), "--keep", "2", "--with-snapshots"]
        assert medloop(monkeypatch, "backup", *where) == 0

    newest, _ = backups_in(tmp_path / "elsewhere")
    assert (newest / "store" / "d" / "snapshots" / "1" / "images-00000.parquet").is_file()
    assert backups_in(used.backups) == []


def test_state_is_not_overwritten_unless_it_is_moved_aside(
    used: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    medloop(monkeypatch, "backup", "--with-snapshots")
    (backup,) = backups_in(used.backups)
    (used.home / "pseudonyms.key").write_bytes(b"x" * 32)

    assert medloop(monkeypatch, "restore-backup", str(backup)) == 1
    assert "--force" in capsys.readouterr().err
    assert (used.home / "pseudonyms.key").read_bytes() == b"x" * 32

    monkeypatch.setenv("MEDLOOP_STORE", (used.home / "store").as_uri())
    get_settings.cache_clear()
    assert medloop(monkeypatch, "restore-backup", str(backup), "--force") == 0
    assert "What stood there before" in capsys.readouterr().out
    assert (used.home / "pseudonyms.key").read_bytes() == b"k" * 32
    assert backups_in(used.backups) == [backup]


def test_a_folder_that_is_no_backup_is_one_clear_line(
    used: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    assert medloop(monkeypatch, "restore-backup", str(tmp_path), "--force") == 1
    assert "is not a backup" in capsys.readouterr().err
    assert (used.home / "pseudonyms.key").is_file()
