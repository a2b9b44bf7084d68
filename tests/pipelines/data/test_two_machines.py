"""Two machines ingest into one store at once: no delivery is lost, and each ledger knows it."""

import os
import subprocess
import sys
from pathlib import Path

from pipelines.data.folders import open_folder
from pipelines.data.land import ingest, landing
from pipelines.data.land.ledger import open_ledger
from pipelines.settings import PROJECT, Settings
from pipelines.stage import Context
from tests.pipelines.data.landing_folders import class_folders, spec
from tests.pipelines.data.recorded import index_of

MACHINE = """
import sys, time
from pathlib import Path
from pipelines.data.land import ingest, landing
from pipelines.data.tables import Table
from pipelines.stage import default_context
from tests.pipelines.data.landing_folders import spec

folder, meeting, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
context = default_context()
append = Table.append
def meet_and_append(table, rows, **commit):
    '''The first commit of a revision waits until the other machine is about to commit, too.'''
    mine = meeting / name
    if commit.get("revision") and not mine.exists():
        mine.touch()
        while len(list(meeting.iterdir())) < 2:
            time.sleep(0.01)
    append(table, rows, **commit)
Table.append = meet_and_append
print(ingest.run(spec(), context, landing.run(spec(), context, folder)).id)
"""


def test_two_machines_that_ingest_at_once_lose_no_delivery(
    context: Context, tmp_path: Path
) -> None:
    base = class_folders(tmp_path / "base")
    first = ingest.run(spec(), context, landing.run(spec(), context, str(base)))
    (tmp_path / "meeting").mkdir()
    drops = [
        class_folders(tmp_path / name, per_class=2, first=first_number)
        for name, first_number in (("left", 50), ("right", 70))
    ]
    machines = [_machine(context, tmp_path, drop) for drop in drops]
    ids = {machine.communicate(timeout=300)[0].strip() for machine in machines}
    assert [machine.returncode for machine in machines] == [0, 0]

    newest = ingest.latest(context, "pets")
    assert newest is not None
    assert (newest.images, newest.id[:4]) == (first.images + 8, "0003")
    assert ids == set(context.store.names("pets/snapshots")) - {first.id}, "no other is left"
    paths = {row["source_path"] for row in index_of(context, newest)}
    for drop in drops:
        assert {str(path.relative_to(drop)) for path in drop.rglob("*.png")} <= paths
        settings = context.settings.model_copy(update={"home": tmp_path / f"home-{drop.name}"})
        source = open_folder(settings, str(drop))
        waiting = open_ledger(settings, "pets").waiting(source.location, source.files(ignore=()))
        assert waiting == []


def _machine(context: Context, tmp_path: Path, drop: Path) -> "subprocess.Popen[str]":
    settings: Settings = context.settings
    environment = os.environ | {
        "MEDLOOP_HOME": str(tmp_path / f"home-{drop.name}"),
        "MEDLOOP_STORE": settings.store_root,
    }
    command = [sys.executable, "-c", MACHINE, str(drop), str(tmp_path / "meeting"), drop.name]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    )
