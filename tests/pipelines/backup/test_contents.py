"""What belongs in a backup."""

from pathlib import Path

import pytest

from pipelines.backup.contents import folder_of, holds_state, home_folders, is_picture


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("d/snapshots/0001-ab/images-00000.parquet", True),
        ("d/packs/ab/images-00000.parquet", True),
        ("d/packs/ab/masks-00000.parquet", False),
        ("d/tables/images/ab.parquet", False),
        ("d/tables/images/_delta_log/00000000000000000000.json", False),
        ("d/snapshots/0001-ab/manifest.json", False),
        ("d/quarantine/ab/refused-00000.parquet", True),
        ("d/quarantine/ab/reasons.csv", False),
        ("d/prepared/ab/parts/0c.parquet", True),
        ("d/prepared/ab/listings/0c.parquet", True),
        ("d/training_sets/ab/keys.parquet", False),
        ("d/prepared/ab/train-00000.parquet", True),
        ("d/prepared/ab/validation-00000.parquet", True),
        ("d/prepared/ab/test-00000.parquet", True),
        ("d/prepared/ab/stats.json", False),
        ("d/features/ab/0c.parquet", True),
        ("d/data_profiles/ab/report.html", True),
        ("d/profiles/ab/answers.parquet", False),
        ("d/splits/ab/leaks.json", False),
        ("d/served/2026-11-21/101500-ab.parquet", False),
        ("layout.json", False),
    ],
)
def test_pictures_are_told_from_records(path: str, expected: bool) -> None:
    assert is_picture(path) is expected


def test_a_file_belongs_to_the_folder_that_was_committed_with_it() -> None:
    assert folder_of("d/snapshots/1/images-00000.parquet") == "d/snapshots/1"
    assert folder_of("d/scores/1/overlays/a.png") == "d/scores/1"
    assert folder_of("layout.json") == ""


def test_what_can_be_made_again_or_is_dumped_is_left_out_and_the_unknown_is_not(
    tmp_path: Path,
) -> None:
    for name in ("cache/jars", "logs", "postgres/data", "hdfs", "landing/d", "backups", "run/pg"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("service/audit", "mlflow/artifacts/1", "something_new"):
        (tmp_path / name).mkdir(parents=True)

    found = {
        path.relative_to(tmp_path).as_posix() for path in home_folders(tmp_path, without=set())
    }

    assert found == {
        *(".", "service", "service/audit", "mlflow", "mlflow/artifacts", "mlflow/artifacts/1"),
        "something_new",
    }


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    home, disk = tmp_path / "home", tmp_path / "disk"
    (disk / "artifacts").mkdir(parents=True)
    home.mkdir()
    (home / "mlflow").symlink_to(disk)
    (disk / "artifacts" / "circle").symlink_to(disk)

    found = list(home_folders(home, without=set()))

    assert found == [home, home / "mlflow", home / "mlflow" / "artifacts"]


def test_a_store_in_the_home_is_left_to_the_store(tmp_path: Path) -> None:
    (tmp_path / "store" / "d").mkdir(parents=True)

    assert list(home_folders(tmp_path, without={tmp_path / "store"})) == [tmp_path]


def test_a_new_home_holds_no_state(tmp_path: Path) -> None:
    assert holds_state(tmp_path / "none") == []
    for name in ("cache", "landing", "backups", "logs"):
        (tmp_path / name).mkdir()
    assert holds_state(tmp_path) == []
    (tmp_path / "pseudonyms.key").write_bytes(b"")
    assert holds_state(tmp_path) == ["pseudonyms.key"]
