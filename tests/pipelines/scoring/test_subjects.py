import json
import os
from pathlib import Path

import pytest

from pipelines.data.folders import local
from pipelines.errors import LandingError, NotFound
from pipelines.scoring import subjects
from pipelines.scoring.answers import Row
from pipelines.scoring.subjects import choose, of_folder, of_snapshot
from pipelines.stage import MANIFEST, Context
from tests.pipelines.data.small_collection import images, small_spec, snapshotted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files, none of them a picture."""
    made = tmp_path / "asked"
    (made / "dark").mkdir(parents=True)
    for name in ("a.png", "b.png", "dark/c.png", "masks.txt", "labels.csv"):
        (made / name).write_bytes(name.encode())
    return made


def paths(subject: subjects.FolderFiles) -> list[str]:
    return [row["source_path"] for row in subject.rows]


def test_every_file_is_scored_but_those_the_spec_says_are_no_images(
    context: Context, folder: Path
) -> None:
    spec = small_spec(landing={"ignore": ["masks*"], "table": TABLE})

    assert paths(of_folder(spec, context, str(folder))) == ["a.png", "b.png", "dark/c.png"]
    assert len(paths(of_folder(small_spec(), context, str(folder)))) == 5


TABLE = {"file": "labels.csv", "image": "image", "label": "label"}


def test_a_folder_is_known_by_its_files(context: Context, folder: Path) -> None:
    first = of_folder(small_spec(), context, str(folder))
    assert of_folder(small_spec(), context, str(folder)).identity == first.identity

    same_size_and_time = (folder / "a.png").stat()
    (folder / "a.png").write_bytes(b"b.png")
    os.utime(folder / "a.png", ns=(same_size_and_time.st_atime_ns, same_size_and_time.st_mtime_ns))

    assert of_folder(small_spec(), context, str(folder)).identity != first.identity


def test_a_folder_whose_file_system_tells_nothing_is_known_by_content(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_keeps_inodes", lambda _: False)
    first = of_folder(small_spec(), context, str(folder))
    status = (folder / "a.png").stat()
    (folder / "a.png").write_bytes(b"b.png")
    os.utime(folder / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert of_folder(small_spec(), context, str(folder)).identity != first.identity


def test_a_file_whose_name_is_no_text_is_found_again(context: Context, folder: Path) -> None:
    odd = folder / b"caf\xe9.png".decode("utf-8", "surrogateescape")
    odd.write_bytes(b"odd")

    found = {row["source_path"]: row["path"] for row in of_folder_rows(context, folder)}

    assert found["caf\\xe9.png"] == b"caf\xe9.png"


def of_folder_rows(context: Context, folder: Path) -> list[Row]:
    return of_folder(small_spec(), context, str(folder)).rows


def test_what_is_no_folder_of_files_is_named(context: Context, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"There is no folder .*/gone"):
        of_folder(small_spec(), context, str(tmp_path / "gone"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(LandingError, match=r"bare holds no files to score"):
        of_folder(small_spec(), context, str(tmp_path / "bare"))


@pytest.mark.parametrize(
    ("images_a_task", "bytes_a_task", "tasks"),
    [(2, 1 << 30, [0, 0, 1, 1, 2]), (9, 10, [0, 0, 1, 2, 3]), (9, 1, [0, 1, 2, 3, 4])],
)
def test_tasks_are_bounded_by_images_and_by_bytes(
    context: Context,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    images_a_task: int,
    bytes_a_task: int,
    tasks: list[int],
) -> None:
    monkeypatch.setattr(subjects, "IMAGES_PER_TASK", images_a_task)
    monkeypatch.setattr(subjects, "BYTES_PER_TASK", bytes_a_task)

    subject = of_folder(small_spec(), context, str(folder))

    assert [row["task"] for row in subject.plan] == tasks
    assert subject.tasks == tasks[-1] + 1


def test_an_image_that_stands_twice_is_scored_once_and_told_twice(context: Context) -> None:
    rows = images(2)
    rows.append(rows[0] | {"source_path": "dark/copy.png"})

    subject = of_snapshot(context, snapshotted(context, rows))

    assert (subject.images, len(subject.plan)) == (5, 4)


def test_the_newest_snapshot_is_meant_where_none_is_named(context: Context) -> None:
    with pytest.raises(NotFound, match="small has no snapshot yet"):
        choose(small_spec(), context, snapshot=None, source=None)
    for identity in ("0002-old", "0003-new"):
        made = snapshotted(context, images(2), identity=identity)
        output = json.loads(made.model_dump_json())
        context.store.write_json(f"{made.path}/{MANIFEST}", {"output": output})

    assert choose(small_spec(), context, snapshot=None, source=None).identity == "0003-new"
    assert choose(small_spec(), context, snapshot="0002-old", source=None).identity == "0002-old"
    with pytest.raises(NotFound, match=r"no snapshot 0001-x; the newest are .*0003-new"):
        choose(small_spec(), context, snapshot="0001-x", source=None)


def test_a_folder_and_a_snapshot_at_once_are_one_too_many(context: Context, folder: Path) -> None:
    with pytest.raises(LandingError, match="not both"):
        choose(small_spec(), context, snapshot="0002-b", source=str(folder))
