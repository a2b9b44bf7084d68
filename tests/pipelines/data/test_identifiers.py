"""What identifies a patient in photographs and in their names does not get past landing."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image

from pipelines import guarded, imaging
from pipelines.data.land import ingest, landing, metadata
from pipelines.data.land.examine import Examined
from pipelines.data.land.originals import PSEUDONYM, LandedFiles
from pipelines.data.restore import restore
from pipelines.monitoring.arrivals import landed_labels
from pipelines.outputs import Snapshot
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, drawing, spec, write
from tests.pipelines.data.recorded import index_of

PLACE = "Elm Street 5"


def photograph(seed: int) -> bytes:
    """A JPEG that tells where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = PLACE.encode()
    target = io.BytesIO()
    Image.fromarray(drawing(seed)).save(target, "JPEG", exif=exif)
    return target.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, and a photograph named by its patient."""
    folder = class_folders(tmp_path / "landing")
    write(folder / "cat" / "Doe_1.jpg", photograph(70))
    write(folder / "cat" / "Doe_2.jpg", photograph(71))
    return folder


def named(**landing_of: Any) -> DatasetSpec:
    return spec(landing={"group_pattern": r"^(?P<group>[A-Za-z]+)_", **landing_of})


def ingested(context: Context, folder: Path, of: DatasetSpec) -> Snapshot:
    return ingest.run(of, context, landing.run(of, context, str(folder)))


def everything_stored(context: Context) -> str:
    """All values of all files of the store, as text."""
    texts = []
    for path in context.store.walk():
        texts.append(path)
        data = context.store.read(path)
        if path.endswith(".parquet"):
            for column in pq.read_table(io.BytesIO(data)).to_pydict().values():
                texts += [c.decode("latin-1") if isinstance(c, bytes) else str(c) for c in column]
        else:
            texts.append(data.decode("latin-1"))
    return "\n".join(texts)


def test_where_a_photograph_was_taken_is_not_stored_and_its_pixels_are(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    landed = (folder / "cat" / "Doe_1.jpg").read_bytes()
    snapshot = ingested(context, folder, named())

    assert PLACE not in everything_stored(context)
    (path,) = restore(context, "pets", what="cat/Doe_1.jpg", target=tmp_path / "out")
    assert path.read_bytes() == metadata.stripped(landed) != landed
    assert np.array_equal(imaging.decode(path.read_bytes()), imaging.decode(landed))
    rows = {row["source_path"]: row for row in index_of(context, snapshot)}
    assert rows["cat/Doe_1.jpg"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_patients_id_is_a_pseudonym_and_still_keeps_images_together(
    context: Context, folder: Path
) -> None:
    rows = index_of(context, ingested(context, folder, named()))

    groups = {row["source_path"]: row["patient"] for row in rows if row["patient"]}
    assert len(groups) == 2
    assert len(set(groups.values())) == 1
    assert all(PSEUDONYM.fullmatch(group) for group in groups.values())


def test_with_pseudonyms_no_name_of_a_file_is_stored_and_each_file_is_found(
    context: Context, folder: Path
) -> None:
    of = named(names="pseudonyms")
    rows = index_of(context, ingested(context, folder, of))

    assert "Doe" not in everything_stored(context)
    from pipelines.data.folders import LocalFolder
    from pipelines.data.land.pseudonyms import load_pseudonyms

    files = LandedFiles(of, LocalFolder(folder), load_pseudonyms(context.settings))
    found = {files.relative(row["source_path"]) for row in rows}
    assert {"cat/Doe_1.jpg", "cat/Doe_2.jpg"} <= found
    assert len(found) == len(rows) == 10


def test_the_service_knows_a_landed_photograph_again_by_its_whole_file(
    context: Context, folder: Path
) -> None:
    rows = index_of(context, ingested(context, folder, named()))

    labels = landed_labels({"1": rows})

    asked = hashlib.sha256((folder / "cat" / "Doe_1.jpg").read_bytes()).hexdigest()
    assert labels[asked] == "cat"
    plain = hashlib.sha256((folder / "dog" / "000.png").read_bytes()).hexdigest()
    assert labels[plain] == "dog"


def test_what_an_earlier_release_stored_gives_way_to_the_same_image_without_metadata(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(function: Any, items: list[str], **_: Any) -> Iterator[tuple[str, Examined]]:
        for item in items:
            yield item, function(item)

    with monkeypatch.context() as earlier:
        earlier.setattr(guarded, "call_each", here)
        earlier.setattr(metadata, "stripped", lambda data: data)
        earlier.setattr(LandedFiles, "group", lambda _, known: known)
        before = index_of(context, ingested(context, folder, named()))
    assert {row["patient"] for row in before} == {None, "Doe"}
    for path in folder.rglob("*.jpg"):
        path.touch()  # it is opened again

    after = index_of(context, ingested(context, folder, named()))

    assert [row["source_path"] for row in after] == [row["source_path"] for row in before]
    assert "Doe" not in {row["patient"] for row in after}
    changed = {row["sha256"] for row in before} - {row["sha256"] for row in after}
    assert len(changed) == 2
