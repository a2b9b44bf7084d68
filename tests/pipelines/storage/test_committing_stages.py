"""Two live processes commit the same output of a stage: one complete output results."""

from pathlib import Path

import pytest

from pipelines.data.land import ingest, landing
from pipelines.data.split import split
from pipelines.stage import Context
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
    assert snapshot.quarantine is not None
    for path in (divided.path, snapshot.quarantine):
        store.delete(path)

    with rivals_that_commit_first(monkeypatch) as paths:
        split.run(pets, context, snapshot)
        store.delete(snapshot.path)
        ingest.run(pets, context, landed)
        require_one_whole_output(store, snapshot.path)
        store.delete(snapshot.path)
        store.delete(landed.path)
        landing.run(pets, context, str(folder))

    assert paths == [divided.path, snapshot.quarantine, snapshot.path, landed.path]
    for path in (divided.path, snapshot.quarantine, landed.path):
        require_one_whole_output(store, path)
