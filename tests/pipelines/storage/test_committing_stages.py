"""Two live processes commit the same output of a stage: one complete output results."""

import hashlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.data.land import ingest, landing
from pipelines.data.land.pseudonyms import load_pseudonyms
from pipelines.data.split import split
from pipelines.erasure.journal import Entry, Journal
from pipelines.erasure.stored import Stored
from pipelines.erasure.traces import Traces
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import Store
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.storage.rival import require_one_whole_output, rivals_that_commit_first


def test_each_stage_of_the_data_leaves_one_whole_output_where_two_processes_run_it(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = class_folders(tmp_path / "landing")
    (folder / "cat" / "broken.png").write_bytes(b"no image")
    pets, store = spec(), context.store
    landed = landing.run(pets, context, str(folder))
    snapshot = ingest.run(pets, context, landed)
    divided = split.run(pets, context, snapshot)
    (pack,) = (f"pets/packs/{name}" for name in store.names("pets/packs"))
    store.delete(divided.path)

    with rivals_that_commit_first(monkeypatch) as paths:
        split.run(pets, context, snapshot)
        store.delete(snapshot.path)
        ingest.run(pets, context, landed)
        require_one_whole_output(store, snapshot.path)
        store.delete(snapshot.path)
        for path in (landed.path, pack, "pets/tables/originals"):
            store.delete(path)
        landing.run(pets, context, str(folder))

    assert paths == [divided.path, snapshot.path, pack, landed.path]
    for path in (divided.path, pack, landed.path):
        require_one_whole_output(store, path)


def test_an_erasure_changes_committed_folders_of_any_store(store: Store, tmp_path: Path) -> None:
    gone, other = (hashlib.sha256(text).hexdigest() for text in (b"gone", b"other"))
    content, page = io.BytesIO(), f"<p>{gone}</p>".encode()
    pq.write_table(pa.table({"sha256": [gone, other], "group": [gone[:16]] * 2}), content)
    listed = {"name": "part.parquet", "rows": 2, "bytes": 0, "sha256": ""}
    with store.commit("pets/scores/f") as staging:
        store.write(f"{staging}/part.parquet", content.getvalue())
        store.write(f"{staging}/page.html", page)
        store.write_json(f"{staging}/manifest.json", {"output": {}, "files": [listed]})
    traces = Traces(frozenset([gone]), frozenset(), frozenset(), frozenset(), 0)
    settings = Settings(home=tmp_path, store=tmp_path.as_uri())
    said = {"id": "e", "dataset": "pets", "by": "me", "reason": "", "asked": "image", "images": 1}
    entry = Entry.model_validate({"began": "2027-01-01T00:00:00Z", "refused": (), **said})
    journal = Journal(tmp_path / "journal.json", entry)
    names = load_pseudonyms(settings)
    for piece in Stored(store, "pets", traces, names, journal).pieces():
        piece.remove()

    read = store.read("pets/scores/f/part.parquet")
    rows = pq.read_table(io.BytesIO(read)).to_pylist()
    assert rows == [{"sha256": other, "group": names.of("cluster", gone[:16])}]
    manifest = store.read_json("pets/scores/f/manifest.json")
    assert manifest["erased_rows"] == 1
    (listed,) = manifest["files"]
    assert (listed["rows"], listed["bytes"]) == (1, len(read))
    assert listed["sha256"] == hashlib.sha256(read).hexdigest()
    assert gone.encode() not in store.read("pets/scores/f/page.html")
    assert list(Stored(store, "pets", traces, names, None).pieces()) == []
