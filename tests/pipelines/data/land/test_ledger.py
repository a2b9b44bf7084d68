import multiprocessing
import os
import time
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from pipelines.data.folders import FileState, LocalFolder, open_folder
from pipelines.data.land import ingest, landing
from pipelines.data.land.ledger import Ledger, is_settled, open_ledger
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, spec, write

NAMES = Pseudonyms(b"k" * 32)
ONE, TWO = FileState("cat/1.png", 10, 1_000, 1.0), FileState("cat/Doe.png", 20, 2_000, 2.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "landed" / "pets.sqlite"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    return Ledger(path, NAMES)


def test_what_was_announced_or_landed_is_known_ever_after(ledger: Ledger, path: Path) -> None:
    assert ledger.unknown("/landing", [ONE, TWO]) == [ONE, TWO]
    ledger.announce("/landing", [ONE])
    ledger.announce("/landing", [ONE])
    assert ledger.unknown("/landing", [ONE, TWO]) == [TWO]
    ledger.landed("/landing", [ONE, TWO], "ab12")
    assert Ledger(path, NAMES).unknown("/landing", [ONE, TWO]) == []


def test_a_changed_file_and_one_elsewhere_are_others(ledger: Ledger) -> None:
    ledger.announce("/landing", [ONE])
    grown, touched = FileState(ONE.path, 11, 1_000, 1.0), FileState(ONE.path, 10, 1_001, 1.0)
    replaced = FileState(ONE.path, 10, 1_000, 1.0, identity="another")
    files = [ONE, grown, touched, replaced]
    assert ledger.unknown("/landing", files) == [grown, touched, replaced]
    assert ledger.unknown("/elsewhere", [ONE]) == [ONE]


def test_a_file_waits_until_its_landing_is_ingested(ledger: Ledger) -> None:
    ledger.announce("/landing", [ONE, TWO])
    ledger.landed("/landing", [ONE], "ab12")
    assert ledger.waiting("/landing", [ONE, TWO]) == [ONE, TWO]
    ledger.ingested("ab12")
    assert ledger.waiting("/landing", [ONE, TWO]) == [TWO]
    ledger.landed("/landing", [ONE, TWO], "cd34")
    assert ledger.waiting("/landing", [ONE, TWO]) == [TWO], "one stays in its snapshot"


def test_many_files_are_told_apart(ledger: Ledger) -> None:
    files = [FileState(f"cat/{n}.png", n, 1_000, 1.0) for n in range(1201)]
    ledger.announce("/landing", files[::2])
    assert ledger.unknown("/landing", files) == files[1::2]


def test_no_file_name_stands_in_the_ledger(ledger: Ledger, path: Path) -> None:
    ledger.landed("/landing", [TWO], "ab12")
    ledger.note("/landing", [(TWO, "found")], version="1")
    assert b"Doe" not in path.read_bytes()


def state_of(path: Path) -> FileState:
    file = LocalFolder(path.parent).state(path.name)
    assert file
    return file


def test_what_opening_files_has_shown_is_kept(ledger: Ledger, path: Path) -> None:
    files = [FileState(f"cat/{n}.png", n, 1_000, 1.0) for n in range(1201)]
    ledger.note("/landing", [(file, f"found {file.size}") for file in files], version="1")
    again = Ledger(path, NAMES)
    assert again.opened("/landing", [*files, ONE], version="1") == {
        file.path: f"found {file.size}" for file in files
    }
    assert again.unknown("/landing", [files[0]]) == [files[0]], "it was opened, not landed"
    assert again.opened("/elsewhere", files, version="1") == {}
    assert again.opened("/landing", files, version="2") == {}, "by other code"
    again.forget("/landing", files[1:])
    assert list(again.opened("/landing", files, version="1")) == [files[0].path]


def test_what_was_found_in_a_changed_file_does_not_count(ledger: Ledger, tmp_path: Path) -> None:
    image = write(tmp_path / "a.png", b"abc")
    ledger.note("/landing", [(state_of(image), "found")], version="1")
    assert ledger.opened("/landing", [state_of(image)], version="1")
    write(image, b"abcd")
    assert not ledger.opened("/landing", [state_of(image)], version="1")
    write(image, b"abc")
    os.utime(image, (1000, 1000))
    assert not ledger.opened("/landing", [state_of(image)], version="1")


def test_a_file_that_may_change_unnoticed_is_not_settled(tmp_path: Path) -> None:
    now = time.time()
    assert not is_settled(state_of(write(tmp_path / "new.png", b"abc")), now=now)
    assert is_settled(state_of(tmp_path / "new.png"), now=now + 10)
    copied = state_of(write(tmp_path / "copied.png", b"abc"))
    old = replace(copied, changed_ns=10**18)
    assert not is_settled(old, now=now), "its own time is old, but it has just come"
    assert not is_settled(FileState("broken-link.png", 0, 0, 0.0), now=now)
    of_hdfs = FileState("a.png", 3, 10**18, 1e9, identity="16387")
    assert is_settled(of_hdfs, now=now)
    assert not is_settled(replace(of_hdfs, identity=""), now=now), "a replacement looks the same"


def _land_until(path: Path, begun: Event, end: Event) -> None:
    with Ledger(path, NAMES).while_landing():
        begun.set()
        end.wait(60)


def test_others_see_that_files_are_being_landed_until_the_process_ends(
    ledger: Ledger, path: Path
) -> None:
    processes = multiprocessing.get_context("spawn")
    begun, end = processes.Event(), processes.Event()
    child = processes.Process(target=_land_until, args=(path, begun, end))
    child.start()
    assert begun.wait(60)
    assert ledger.is_landing()
    child.kill()
    child.join()
    assert not ledger.is_landing()


def test_landing_and_ingesting_keep_the_ledger(context: Context, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "landing")
    source = open_folder(context.settings, str(folder))
    ledger = open_ledger(context.settings, "pets")
    landed = landing.run(spec(), context, str(folder))
    assert ledger.unknown(source.location, source.files()) == []
    assert len(ledger.waiting(source.location, source.files())) == 8
    ingest.run(spec(), context, landed)
    assert ledger.waiting(source.location, source.files()) == []
    class_folders(folder, per_class=1, first=50)
    again = landing.run(spec(), context, str(folder))
    assert len(ledger.waiting(source.location, source.files())) == 2
    ingest.run(spec(), context, again)
    assert ledger.waiting(source.location, source.files()) == []
