"""A landing folder is the same folder on this machine, in HDFS and in a bucket."""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.data.folders import LandingFolder, open_folder
from pipelines.data.land import ingest, landing, opening
from pipelines.data.restore import originals
from pipelines.errors import BadImage, LandingError, StoreUnavailable
from pipelines.outputs import Landing, Snapshot
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.objects import Access, Objects
from tests.pipelines.data.landing_folders import class_folders, dicom, drawing, png, spec, write
from tests.pipelines.data.recorded import index_of
from tests.pipelines.storage.refusing_namenode import refusing_namenode
from tests.pipelines.storage.s3_server import BUCKET, S3Server

NAMES = ["cat/1.png", "cat/ü ö/日本 50%.png", "dog/a#b?.png", "top.png"]


def in_hdfs(settings: Settings, folder: Path) -> str:
    """Copy a folder into HDFS, as others do; its URI."""
    place = f"hdfs:///incoming/{secrets.token_hex(4)}"
    store = HdfsStore(place, webhdfs=settings.webhdfs, user=settings.hdfs_user)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        store.upload(file, str(file.relative_to(folder)))
    return place


def in_s3(server: S3Server, folder: Path) -> str:
    """Copy a folder into a bucket, as others do; its URI."""
    place = f"s3://{BUCKET}/incoming/{secrets.token_hex(4)}"
    objects = Objects(place, Access(server.url, None, None))
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        objects.upload(file, str(file.relative_to(folder)))
    objects.put("cat/", b"")  # as some tools make a folder
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "landing"


@pytest.fixture(params=["local", "hdfs", "s3"])
def opened(request: pytest.FixtureRequest, folder: Path) -> LandingFolder:
    for name in [*NAMES, "cat/.hidden.png", ".git/1.png", "dog/2.png.part", "dog/3.png._COPYING_"]:
        write(folder / name, name.encode())
    write(folder / "_SUCCESS", b"")
    if request.param == "local":
        return open_folder(Settings(), str(folder))
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        return open_folder(server.settings("none"), in_s3(server, folder))
    settings: Settings = request.getfixturevalue("hdfs")
    return open_folder(settings, in_hdfs(settings, folder))


def test_every_file_is_listed_and_read_whatever_its_name(opened: LandingFolder) -> None:
    files = opened.files()

    assert [file.path for file in files] == sorted(NAMES)
    for file in files:
        assert opened.read(file.path) == file.path.encode()
        assert file.size == len(file.path.encode())
        assert file.changed_ns > 1e18
        assert file == opened.state(file.path)
    assert opened.exists()


def test_files_that_are_still_being_copied_are_seen_but_not_landed(opened: LandingFolder) -> None:
    seen = {file.path for file in opened.all_files()}

    assert {"dog/2.png.part", "dog/3.png._COPYING_"} <= seen
    assert not [path for path in seen if ".hidden" in path or ".git" in path]


def test_what_is_ignored_is_left_out(opened: LandingFolder) -> None:
    files = opened.files(ignore=("cat/*",))

    assert [file.path for file in files] == ["dog/a#b?.png", "top.png"]


def test_a_file_that_is_gone_is_unreadable(opened: LandingFolder) -> None:
    with pytest.raises(BadImage) as refused:
        opened.read("cat/gone.png")

    assert refused.value.reason == "unreadable"
    assert opened.state("cat/gone.png") is None


def test_a_file_can_be_had_on_this_machine(opened: LandingFolder, tmp_path: Path) -> None:
    copy = opened.local("cat/1.png", tmp_path / "scratch")

    assert copy.read_bytes() == b"cat/1.png"
    assert copy.suffix == ".png"


def landed_and_ingested(
    context: Context, place: str, **changes: object
) -> tuple[Landing, Snapshot, dict[str, bytes]]:
    landed = landing.run(spec(**changes), context, place)
    snapshot = ingest.run(spec(**changes), context, landed)
    held = originals(context, index_of(context, snapshot))
    return landed, snapshot, {row["source_path"]: data for row, data in held}


def compare(hdfs: Settings, folder: Path, tmp_path: Path, **changes: object) -> Landing:
    """Land and ingest a folder from this machine and from HDFS, and hold them together."""
    key = tmp_path / "home" / "pseudonyms.key"
    key.parent.mkdir()
    key.write_bytes(b"k" * 32)
    alone = hdfs.model_copy(update={"home": key.parent, "store": (tmp_path / "a").as_uri()})
    other = alone.model_copy(update={"store": (tmp_path / "b").as_uri()})
    here = landed_and_ingested(Context(alone, open_store(alone)), str(folder), **changes)
    place = in_hdfs(hdfs, folder)
    there = landed_and_ingested(Context(other, open_store(other)), place, **changes)

    assert there[0] == here[0].model_copy(update={"source": place})
    assert there[1:] == here[1:]
    return there[0]


def test_the_same_folder_in_hdfs_gives_the_same_snapshot(
    hdfs: Settings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "FEW_FILES", 4)
    class_folders(folder)
    write(folder / "cat" / "Doe_Jane" / "Doe.dcm", dicom(1))
    write(folder / "dog" / "broken.png", png(drawing(1))[:300])
    write(folder / "dog" / "large.png", b"\x89PNG" + bytes(200_000))

    landed = compare(hdfs, folder, tmp_path, limits={"max_megabytes": 0.1})

    assert landed.accepted == 9
    assert landed.quarantined == {"too_large": 1, "truncated": 1}


def test_the_same_folder_in_a_bucket_gives_the_same_snapshot_in_a_store_of_the_bucket(
    s3: S3Server, folder: Path, tmp_path: Path
) -> None:
    class_folders(folder)
    write(folder / "dog" / "broken.png", png(drawing(1))[:300])
    settings = s3.settings(tmp_path.name, home=tmp_path / "home")
    local = settings.model_copy(update={"store": (tmp_path / "a").as_uri()})
    here = landed_and_ingested(Context(local, open_store(local)), str(folder))
    place = in_s3(s3, folder)
    context = Context(settings, open_store(settings))
    there = landed_and_ingested(context, place)

    assert there[0] == here[0].model_copy(update={"source": place})
    assert there[1:] == here[1:]
    assert context.store.names("pets/snapshots") == [there[1].id]


def test_a_table_of_labels_in_hdfs_is_read_too(
    hdfs: Settings, folder: Path, tmp_path: Path
) -> None:
    table = {"file": "labels.csv", "image": "images/{id}.png", "label": "dx", "group": "who"}
    write(folder / "labels.csv", "\ufeffid,dx,who\n1,cat,A\n2,dog,B\n3,dog,B\n".encode())
    for name in ("1", "2", "9"):
        write(folder / "images" / f"{name}.png", png(drawing(int(name))))

    landed = compare(hdfs, folder, tmp_path, landing={"table": table})

    assert landed.quarantined == {"missing_file": 1, "unlabelled": 1}


def test_only_this_installations_hdfs_can_be_read(hdfs: Settings) -> None:
    authority = urlsplit(hdfs.store_root).netloc

    assert open_folder(hdfs, f"hdfs://{authority}/incoming/").location == "hdfs:///incoming"
    with pytest.raises(LandingError, match=r"not in the HDFS of this installation"):
        open_folder(hdfs, "hdfs://elsewhere:8020/incoming")
    with pytest.raises(LandingError, match="names no folder"):
        open_folder(hdfs, "hdfs:///")


def test_a_missing_folder_in_hdfs_is_an_error(hdfs: Settings) -> None:
    context = Context(hdfs, open_store(hdfs))
    with pytest.raises(LandingError, match="landing folder hdfs:///nowhere does not exist"):
        landing.run(spec(), context, "hdfs:///nowhere")


def test_what_hdfs_refuses_is_told_with_who_asked() -> None:
    with refusing_namenode() as namenode:
        namenode.exception = "AccessControlException"
        namenode.message = "Permission denied: user=bob, access=READ_EXECUTE"
        source = open_folder(Settings(webhdfs_url=namenode.url, hdfs_user="bob"), "hdfs:///in")
        for ask in (source.exists, source.all_files):
            with pytest.raises(LandingError, match=r"hdfs:///in/ cannot be read .*bob must be"):
                ask()
        with pytest.raises(BadImage, match="HDFS refuses the file"):
            source.read("cat/1.png")


def test_a_bucket_that_is_missing_or_refuses_is_told_as_the_landing_folders(
    context: Context, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = context.settings.model_copy(update={"store_endpoint": s3.url})
    here = Context(settings, context.store)
    with pytest.raises(LandingError, match=r"no bucket 'nobodys'.*correct the landing folder"):
        landing.run(spec(), here, "s3://nobodys/incoming")
    with pytest.raises(LandingError, match=f"landing folder s3://{BUCKET}/nowhere does not exist"):
        landing.run(spec(), here, f"s3://{BUCKET}/nowhere")
    with pytest.raises(LandingError, match="names no bucket"):
        open_folder(settings, "s3:///incoming")
    monkeypatch.setattr(s3, "answers_instead", lambda _: "403 Forbidden")
    with pytest.raises(LandingError, match="refuses s3://"):
        landing.run(spec(), here, f"s3://{BUCKET}/incoming")


def test_hdfs_being_away_is_told_as_what_can_heal(context: Context) -> None:
    away = context.settings.model_copy(update={"webhdfs_url": "http://127.0.0.1:1"})
    with pytest.raises(StoreUnavailable, match="HDFS does not answer"):
        landing.run(spec(), Context(away, context.store), "hdfs:///incoming")


def test_one_folder_has_one_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    places = {open_folder(Settings(), name).location for name in (str(folder), "landing", "link")}

    assert places == {os.fspath(folder)}


def test_a_file_is_added_whole_and_never_over_another(opened: LandingFolder) -> None:
    assert opened.add("new/1.png", b"first")
    assert not opened.add("new/1.png", b"second")
    assert opened.read("new/1.png") == b"first"
    assert opened.add("new/2.png", b"x")
    assert [file.path for file in opened.files()] == sorted([*NAMES, "new/1.png", "new/2.png"])
