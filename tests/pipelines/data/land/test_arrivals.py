"""When a delivery is complete; every look is one that the triggerer would take."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.data.folders import open_folder
from pipelines.data.land import landing
from pipelines.data.land.arrivals import Delivery, FolderWatcher, waiting
from pipelines.data.land.ledger import open_ledger
from pipelines.errors import SpecError, StoreUnavailable
from pipelines.settings import Settings, get_settings
from pipelines.spec import DatasetSpec, load_spec
from pipelines.stage import Context
from tests.pipelines.data.folders.test_folders import in_hdfs, in_s3
from tests.pipelines.data.landing_folders import class_folders, drawing, png, spec, write
from tests.pipelines.storage.s3_server import S3Server


class Hall:
    """Landing folders, and a clock that only the test moves."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = 1000.0

    def write_spec(self, name: str = "pets", **landing: Any) -> DatasetSpec:
        made = spec(name=name, landing={"quiet_seconds": 60} | landing)
        self.settings.datasets.mkdir(exist_ok=True)
        text = yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True))
        (self.settings.datasets / f"{name}.yaml").write_text(text)
        return load_spec(name)

    def folder(self, name: str = "pets") -> Path:
        return self.settings.home / "landing" / name

    def watch(self, name: str = "pets") -> FolderWatcher:
        return FolderWatcher(name, clock=lambda: self.now)

    def drop(self, name: str, content: bytes = b"picture", dataset: str = "pets") -> Path:
        return write(self.folder(dataset) / name, content)

    def look(self, watch: FolderWatcher, after: float) -> list[str]:
        """Paths of what is told when so many seconds have gone by."""
        self.now += after
        delivery = watch.check()
        return [file.path for file in delivery.files] if delivery else []

    def tell(self, watch: FolderWatcher) -> Delivery:
        """Let a delivery be complete and told."""
        watch.check()
        self.now += 60
        delivery = watch.check()
        assert delivery
        watch.mark_announced(delivery)
        return delivery


@pytest.fixture
def hall(installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hall:
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path / "datasets"))
    get_settings.cache_clear()
    made = Hall(get_settings())
    made.write_spec()
    assert made.settings.home == installation.home
    return made


def test_files_are_told_of_once_they_have_stopped_arriving(hall: Hall) -> None:
    watch = hall.watch()
    assert hall.look(watch, 0) == [], "no folder yet"
    hall.drop("cat/1.png")
    assert hall.look(watch, 1) == []
    assert hall.look(watch, 40) == []
    hall.drop("cat/2.png")
    assert hall.look(watch, 40) == [], "the second file began another quiet period"
    assert hall.look(watch, 59) == []
    assert hall.look(watch, 1) == ["cat/1.png", "cat/2.png"]


def test_a_delivery_that_nobody_has_taken_note_of_is_told_again(hall: Hall) -> None:
    watch = hall.watch()
    hall.drop("cat/1.png")
    hall.look(watch, 0)
    assert hall.look(watch, 60) == ["cat/1.png"]
    assert hall.look(watch, 15) == ["cat/1.png"]


def test_it_is_told_once_and_only_what_came_since_after_that(hall: Hall) -> None:
    watch = hall.watch()
    hall.drop("cat/1.png")
    hall.tell(watch)
    assert hall.look(watch, 100) == []
    hall.drop("cat/2.png")
    assert hall.look(watch, 15) == []
    assert hall.look(watch, 60) == ["cat/2.png"]


def test_neither_a_restart_nor_waiting_tells_it_twice_or_misses_anything(hall: Hall) -> None:
    hall.drop("cat/1.png")
    hall.tell(hall.watch())
    second = hall.watch()
    assert [hall.look(second, 0), hall.look(second, 60)] == [[], []]
    hall.drop("cat/2.png")
    third = hall.watch()
    assert [hall.look(third, 0), hall.look(third, 60)] == [[], ["cat/2.png"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(file.read_bytes() + b"more"),
        lambda file: os.utime(file, (5, 5)),
        lambda file: file.unlink(),
        lambda file: file.rename(file.with_suffix(".jpg")),
    ],
    ids=["grows", "is touched", "goes", "is renamed"],
)
def test_a_folder_that_changes_in_any_way_is_waited_for(
    hall: Hall, change: Callable[[Path], Any]
) -> None:
    watch = hall.watch()
    hall.drop("cat/1.png")
    file = hall.drop("cat/2.png")
    hall.look(watch, 0)
    change(file)
    assert hall.look(watch, 59.9) == []
    assert hall.look(watch, 59) == []
    assert hall.look(watch, 1) != []


def test_half_copied_files_are_waited_for_while_they_grow_and_never_told(hall: Hall) -> None:
    watch = hall.watch()
    hall.drop("cat/1.png")
    part = hall.drop("cat/2.png._COPYING_", b"half")
    hall.look(watch, 0)
    part.write_bytes(b"half and more")
    assert hall.look(watch, 60) == []
    assert hall.look(watch, 60) == ["cat/1.png"]
    part.rename(hall.folder() / "cat" / "2.png")
    hall.look(watch, 0)
    assert hall.look(watch, 60) == ["cat/1.png", "cat/2.png"]


@pytest.mark.parametrize("name", ["1.png.part", "1.png.tmp", ".1.png.Xy12", "_SUCCESS", "n/a.txt"])
def test_what_is_no_image_to_land_wakes_nothing(hall: Hall, name: str) -> None:
    hall.write_spec(ignore=["*.txt"])
    watch = hall.watch()
    hall.drop(name)
    assert [hall.look(watch, 0), hall.look(watch, 60)] == [[], []]


def test_a_folder_that_is_emptied_tells_nothing(hall: Hall) -> None:
    watch = hall.watch()
    file = hall.drop("cat/1.png")
    hall.tell(watch)
    file.unlink()
    assert [hall.look(watch, 15), hall.look(watch, 60)] == [[], []]


def test_what_was_landed_by_hand_is_not_told(hall: Hall, context: Context) -> None:
    class_folders(hall.folder())
    landing.run(load_spec("pets"), context, str(hall.folder()))
    watch = hall.watch()
    assert [hall.look(watch, 0), hall.look(watch, 60)] == [[], []]
    hall.drop("cat/new.png", png(drawing(99)))
    hall.look(watch, 0)
    assert hall.look(watch, 60) == ["cat/new.png"]


def test_nothing_is_told_while_files_are_being_landed(hall: Hall) -> None:
    watch = hall.watch()
    hall.drop("cat/1.png")
    hall.look(watch, 0)
    with open_ledger(hall.settings, "pets").while_landing():
        assert hall.look(watch, 60) == []
    assert hall.look(watch, 15) == ["cat/1.png"]


def test_a_marker_tells_at_once_and_nothing_else_does(hall: Hall) -> None:
    hall.write_spec(marker="READY")
    watch = hall.watch()
    hall.drop("cat/1.png")
    assert [hall.look(watch, 0), hall.look(watch, 600)] == [[], []]
    hall.drop("READY", b"")
    assert hall.look(watch, 5) == ["cat/1.png"]


def test_the_next_delivery_needs_the_marker_anew(hall: Hall) -> None:
    hall.write_spec(marker="READY")
    watch = hall.watch()
    hall.drop("cat/1.png")
    marker = hall.drop("READY", b"")
    delivery = watch.check()
    assert delivery
    watch.mark_announced(delivery)
    hall.drop("cat/2.png")
    assert hall.look(hall.watch(), 600) == []
    marker.touch()
    assert hall.look(hall.watch(), 0) == ["cat/2.png"]


def test_a_marker_without_new_files_tells_nothing_later_either(hall: Hall) -> None:
    hall.write_spec(marker="READY")
    hall.drop("READY", b"")
    watch = hall.watch()
    assert hall.look(watch, 0) == []
    hall.drop("cat/1.png")
    assert hall.look(watch, 600) == []


def test_several_data_sets_are_watched_apart(hall: Hall) -> None:
    hall.write_spec("birds", quiet_seconds=10)
    pets, birds = hall.watch(), hall.watch("birds")
    hall.drop("cat/1.png")
    hall.drop("cat/2.png", dataset="birds")
    assert hall.look(pets, 0) + hall.look(birds, 0) == []
    assert hall.look(birds, 10) == ["cat/2.png"]
    assert hall.look(pets, 0) == []
    assert hall.look(pets, 50) == ["cat/1.png"]


def test_a_corrected_spec_holds_from_the_next_look_on(hall: Hall) -> None:
    watch = hall.watch()
    hall.drop("cat/1.png")
    hall.look(watch, 0)
    hall.write_spec(quiet_seconds=5)
    assert hall.look(watch, 5) == ["cat/1.png"]
    assert watch.interval == 1.25
    (hall.settings.datasets / "pets.yaml").write_text("name: [")
    with pytest.raises(SpecError, match="is not YAML"):
        watch.check()


def test_a_folder_in_hdfs_that_is_away_is_an_error_and_told_when_it_is_back(
    hall: Hall, hdfs: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall.drop("cat/1.png")
    hall.write_spec(path=in_hdfs(hdfs, hall.folder()))
    watch = hall.watch()

    def reached_at(url: str) -> None:
        monkeypatch.setenv("MEDLOOP_WEBHDFS_URL", url)
        monkeypatch.setenv("MEDLOOP_HDFS_USER", hdfs.hdfs_user)
        get_settings.cache_clear()

    reached_at(hdfs.webhdfs)
    assert hall.look(watch, 0) == []
    reached_at("http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        hall.look(watch, 60)
    reached_at(hdfs.webhdfs)
    assert hall.look(watch, 0) == ["cat/1.png"]


def test_a_folder_in_a_bucket_is_quiet_is_away_and_waits_for_a_marker(
    hall: Hall, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall.drop("cat/1.png")
    place = in_s3(s3, hall.folder())
    monkeypatch.setenv("MEDLOOP_STORE_ENDPOINT", s3.url)
    get_settings.cache_clear()
    hall.write_spec(path=place)
    watch = hall.watch()

    assert hall.look(watch, 0) == []
    with monkeypatch.context() as away:
        away.setattr(s3, "answers_instead", lambda _: "503 Service Unavailable")
        with pytest.raises(StoreUnavailable, match=s3.url):
            hall.look(watch, 60)
    assert hall.look(watch, 0) == ["cat/1.png"]

    hall.write_spec(path=place, marker="_SUCCESS")
    source = open_folder(get_settings(), place)
    assert source.add("cat/2.png", b"2")
    assert hall.look(watch, 600) == []
    assert source.add("_SUCCESS", b"")
    assert hall.look(watch, 0) == ["cat/1.png", "cat/2.png"]


def test_what_waits_is_counted_from_when_the_first_of_it_came(hall: Hall, context: Context) -> None:
    dataset = load_spec("pets")
    assert waiting(dataset) is None
    class_folders(hall.folder())
    found = waiting(dataset)
    assert found
    assert found.files == 8
    came = min(file.stat().st_ctime for file in hall.folder().rglob("*.png"))
    assert found.since == came, "not when they were made"
    landing.run(dataset, context, str(hall.folder()))
    assert waiting(dataset) == found, "landed, but in no snapshot yet"
