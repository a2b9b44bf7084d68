import hashlib
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.data import revisions
from pipelines.data.land import ingest, landing
from pipelines.data.restore import restore
from pipelines.data.revisions import latest
from pipelines.errors import NotFound, PathRefused, StoreUnavailable
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import index_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "landing")


@pytest.fixture
def ingested(context: Context, folder: Path) -> Context:
    shutil.copy2(folder / "cat" / "000.png", folder / "cat" / "copy.png")
    ingest.run(spec(), context, landing.run(spec(), context, str(folder)))
    return context


def test_an_image_comes_back_identical_by_its_path(
    ingested: Context, folder: Path, tmp_path: Path
) -> None:
    (path,) = restore(ingested, "pets", what="dog/001.png", target=tmp_path / "out")
    assert path == tmp_path / "out" / "dog" / "001.png"
    assert path.read_bytes() == (folder / "dog" / "001.png").read_bytes()


def test_every_copy_comes_back_by_its_hash(ingested: Context, folder: Path, tmp_path: Path) -> None:
    data = (folder / "cat" / "000.png").read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    for what in (sha256, sha256[:8].upper()):
        paths = restore(ingested, "pets", what=what, target=tmp_path / "out")
        assert [path.name for path in paths] == ["000.png", "copy.png"]
        assert {path.read_bytes() for path in paths} == {data}


def test_files_of_one_name_come_back_beside_each_other(
    ingested: Context, folder: Path, tmp_path: Path
) -> None:
    drop = class_folders(tmp_path / "drop", per_class=1, first=50)
    (drop / "cat" / "050.png").rename(drop / "cat" / "000.png")
    ingest.run(spec(), ingested, landing.run(spec(), ingested, str(drop)))
    paths = restore(ingested, "pets", what="cat/000.png", target=tmp_path / "out")
    assert {path.read_bytes() for path in paths} == {
        (folder / "cat" / "000.png").read_bytes(),
        (drop / "cat" / "000.png").read_bytes(),
    }


@pytest.mark.parametrize("what", ["cat/999.png", "0123456789", "", "c"])
def test_an_image_that_is_not_there_is_told_with_an_example(
    ingested: Context, tmp_path: Path, what: str
) -> None:
    with pytest.raises(NotFound, match=r"no image .* among 9\. Name a source path, such as 'cat/"):
        restore(ingested, "pets", what=what, target=tmp_path / "out")


def test_a_data_set_without_images_is_told(context: Context, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="pets has no images yet"):
        restore(context, "pets", what="cat/000.png", target=tmp_path)


def test_bytes_the_store_has_lost_are_never_given_out(
    ingested: Context, folder: Path, tmp_path: Path
) -> None:
    pack = index_of(ingested, ingest.latest(ingested, "pets"))[0]["pack"]
    content = (folder / "dog" / "001.png").read_bytes()
    altered = ingested.store.read(pack).replace(content, content[:-1] + b"?")
    ingested.store.write(pack, altered)
    with pytest.raises(StoreUnavailable, match=r"dog/001\.png"):
        restore(ingested, "pets", what="dog/001.png", target=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["../payload.png", "/tmp/payload.png", "cat/../../payload.png"])
def test_a_path_that_leads_out_of_the_folder_is_refused(
    ingested: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    real = index_of(ingested, latest(ingested, "pets"))
    forged = [row | {"source_path": path} for row in real]
    table = pa.Table.from_pylist(forged)
    monkeypatch.setattr(revisions, "files", lambda *_: table)

    with pytest.raises(PathRefused, match="not a path inside a folder"):
        restore(ingested, "pets", what=real[0]["sha256"], target=tmp_path / "out")
    assert not (tmp_path / "payload.png").exists()


def test_a_file_of_the_users_is_not_overwritten(ingested: Context, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "dog" / "001.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")

    with pytest.raises(PathRefused, match="nothing was overwritten"):
        restore(ingested, "pets", what="dog/001.png", target=tmp_path / "out")
    assert mine.read_bytes() == b"mine"
