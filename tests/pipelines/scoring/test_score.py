import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from pipelines import imaging
from pipelines.errors import BundleError, NotFound
from pipelines.monitoring.served import PROBABILITY
from pipelines.outputs import Scores
from pipelines.provenance import git_commit
from pipelines.release.bundle import EXPECTED, file_digests, read_manifest, write_manifest
from pipelines.scoring import score, subjects
from pipelines.scoring.subjects import Subject
from pipelines.settings import PROJECT, Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from pipelines.storage.staging import STAGING_PREFIX
from tests.pipelines.data.small_collection import images, small_spec, snapshotted
from tests.pipelines.scoring.scored import draw_every_kind, table
from tests.serving.bundles import CLASSES, make_bundle, png
from tests.serving.running import running_service

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def few_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a task, so that a small collection has several."""
    monkeypatch.setattr(subjects, "IMAGES_PER_TASK", 4)


def folder_of(context: Context, folder: Path) -> Subject:
    return subjects.of_folder(small_spec(), context, str(folder))


def run(context: Context, bundle: Path, subject: Subject, *, overlays: bool = False) -> Scores:
    return score.run(small_spec(), context, bundle, subject=subject, overlays=overlays)


@pytest.mark.usefixtures("few_a_task")
def test_answers_are_those_of_the_service(context: Context, bundle: Path, tmp_path: Path) -> None:
    files = draw_every_kind(tmp_path / "pictures")

    scores = run(context, bundle, folder_of(context, tmp_path / "pictures"), overlays=True)

    rows = table(context, scores)
    assert len(rows) == scores.images == len(files)
    of_bytes = {row["sha256"]: row for row in rows}
    with running_service(tmp_path / "service", "--bundle", str(bundle)) as http:
        for path, content in files.items():
            row = of_bytes[hashlib.sha256(content).hexdigest() if content else None]
            reply = http.post("/predict", content=content, headers={"content-type": "image/any"})
            _require_same(row, reply, path)
            assert (row["overlay"] is None) == (row["reason"] is not None)
        drawn = http.post("/gradcam", files={"image": files["scan.dcm"]}).content
    ours = of_bytes[hashlib.sha256(files["scan.dcm"]).hexdigest()]["overlay"]
    np.testing.assert_allclose(imaging.decode(ours), imaging.decode(drawn), atol=2)
    refused = sum(row["reason"] is not None for row in rows)
    assert refused == sum(scores.unreadable.values()) >= 4


def _require_same(row: dict[str, Any], reply: httpx.Response, path: str) -> None:
    said = reply.json()
    if row["reason"] is not None:
        assert reply.is_client_error, path
        if said["error"]["code"] != "no_image":  # of an empty body the service says so
            assert (row["reason"], row["message"]) == tuple(said["error"].values())
        return
    assert row["predicted"] == said["class"], path
    assert row["confidence"] == pytest.approx(said["confidence"], abs=1e-5)
    for name in CLASSES:
        assert row[PROBABILITY + name] == pytest.approx(said["probabilities"][name], abs=1e-5)
    assert (row["abstained"], row["abstained_because"]) == (
        said["abstained"],
        said["abstained_because"],
    )
    review = {"needed": row["review"], "reasons": row["review_because"]}
    assert review == said["review"]
    assert row["model_version"] == said["model_version"]


@pytest.mark.usefixtures("few_a_task")
def test_every_image_of_a_snapshot_has_a_row_and_its_label(context: Context, bundle: Path) -> None:
    rows = images()
    rows.append(rows[0] | {"source_path": "dark/copy.png"})
    snapshot = snapshotted(context, rows)

    scores = run(context, bundle, subjects.of_snapshot(context, snapshot))

    found = table(context, scores)
    keys = ("source_path", "sha256", "label")
    assert sorted(tuple(row[key] for key in keys) for row in found) == sorted(
        tuple(row[key] for key in keys) for row in rows
    )
    assert scores.images == sum(scores.predicted.values()) == len(rows)
    assert scores.abstained == sum(row["abstained"] for row in found)
    assert scores.review == sum(row["review"] for row in found)
    assert {row["run_id"] for row in found} == {"run"}
    manifest = context.store.read_json(f"{scores.path}/manifest.json")
    assert (manifest["output"]["snapshot"], manifest["subject"]) == (snapshot.path, snapshot.id)
    assert manifest["bundle"] == read_manifest(bundle).digest
    assert manifest["git_commit"] == git_commit()


def test_scores_that_stand_are_not_made_again(context: Context, bundle: Path) -> None:
    subject = subjects.of_snapshot(context, snapshotted(context, images(2)))
    first = run(context, bundle, subject)
    before = context.store.names(first.path)

    assert run(context, bundle, subject) == first
    assert context.store.names(first.path) == before


def test_another_champion_other_files_or_overlays_make_other_scores(
    context: Context, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(1))
    other = make_bundle(tmp_path / "other", seed=1, version=2)
    first = run(context, bundle, folder_of(context, folder))
    second = run(context, other, folder_of(context, folder))
    drawn = run(context, bundle, folder_of(context, folder), overlays=True)
    (folder / "b.png").write_bytes(png(2))
    more = run(context, bundle, folder_of(context, folder))

    assert len({first.id, second.id, drawn.id, more.id}) == 4
    assert (first.version, second.version) == (1, 2)
    assert (first.images, more.images) == (1, 2)


def test_an_original_that_the_store_has_altered_is_a_row_with_the_reason(
    context: Context, bundle: Path
) -> None:
    rows = images(2)
    rows[1] |= {"content": rows[0]["content"]}

    scores = run(context, bundle, subjects.of_snapshot(context, snapshotted(context, rows)))

    assert scores.unreadable == {"altered": 1}
    [altered] = [row for row in table(context, scores) if row["reason"]]
    assert altered["source_path"] == rows[1]["source_path"]


def test_images_that_the_packs_lack_are_told_and_nothing_is_written(
    context: Context, bundle: Path
) -> None:
    rows = images(2)
    snapshot = snapshotted(context, rows)
    subject = subjects.of_snapshot(context, snapshot)
    subject.rows.append(subject.rows[0] | {"sha256": "0" * 64, "source_path": "dark/lost.png"})

    with pytest.raises(NotFound, match="4 of 5 images were scored"):
        run(context, bundle, subject)

    assert context.store.names("small/scores") == []


def test_a_bundle_that_no_worker_can_use_ends_the_job_with_the_workers_words(
    context: Context, bundle: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(bundle, tmp_path / "broken")
    (broken / EXPECTED).write_text("[]", "utf-8")
    manifest = read_manifest(broken).model_copy(update={"files": file_digests(broken)})
    write_manifest(broken, manifest)
    subject = subjects.of_snapshot(context, snapshotted(context, images(2)))

    with pytest.raises(BundleError, match="no canary images"):
        run(context, broken, subject)

    assert context.store.names("small/scores") == []


def _draw_many(folder: Path, count: int) -> None:
    """Pictures that take a while to decode."""
    folder.mkdir()
    (folder / "000.png").write_bytes(png(1, width=1800, height=1600))
    for number in range(1, count):
        (folder / f"{number:03}.png").hardlink_to(folder / "000.png")


@contextmanager
def a_worker_is_killed() -> Iterator[list[int]]:
    """End one of Spark's Python workers, without warning, as soon as it has worked a little."""
    killed: list[int] = []
    ended = threading.Event()

    def hunt() -> None:
        while not ended.is_set() and not killed:
            for process in psutil.Process().children(recursive=True):
                if _is_busy_worker(process):
                    process.kill()
                    killed.append(process.pid)
                    break
            time.sleep(0.02)

    hunter = threading.Thread(target=hunt)
    began = {p.pid: p.cpu_times().user for p in psutil.Process().children(recursive=True)}

    def _is_busy_worker(process: psutil.Process) -> bool:
        try:
            parent = process.parent()
            is_worker = parent is not None and "pyspark.daemon" in parent.cmdline()
            spent: float = process.cpu_times().user - began.get(process.pid, 0)
            return is_worker and "pyspark.daemon" in process.cmdline() and spent > 0.3
        except psutil.NoSuchProcess:
            return False

    hunter.start()
    try:
        yield killed
    finally:
        ended.set()
        hunter.join()


@pytest.mark.usefixtures("few_a_task")
def test_a_killed_worker_costs_time_and_nothing_else(
    context: Context, bundle: Path, tmp_path: Path
) -> None:
    _draw_many(tmp_path / "pictures", 24)

    with a_worker_is_killed() as killed:
        scores = run(context, bundle, folder_of(context, tmp_path / "pictures"))

    assert killed
    assert scores.images == sum(scores.predicted.values()) == 24
    names = [row["source_path"] for row in table(context, scores)]
    assert names == [f"{number:03}.png" for number in range(24)]


KILLED = """
import sys
from pathlib import Path
from pipelines.scoring import score, subjects
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import small_spec

home, store, bundle, folder = sys.argv[1:]
subjects.IMAGES_PER_TASK = 2
settings = Settings(home=home, store=store, spark="local[1,4]")
context = Context(settings=settings, store=open_store(settings))
subject = subjects.of_folder(small_spec(), context, folder)
score.run(small_spec(), context, Path(bundle), subject=subject)
"""


def test_a_killed_run_leaves_nothing_visible_and_the_next_one_completes(
    context: Context, bundle: Path, tmp_path: Path
) -> None:
    _draw_many(tmp_path / "pictures", 16)
    root = context.store.uri("").rstrip("/")
    arguments = [str(tmp_path / "killed"), root, str(bundle), str(tmp_path / "pictures")]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], cwd=PROJECT, start_new_session=True
    )
    staging = Path(context.store.uri("small/scores").removeprefix("file://"))
    try:
        until = time.monotonic() + 400
        while not list(staging.glob(f"{STAGING_PREFIX}*/_temporary")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert context.store.names("small/scores") == []

    scores = run(context, bundle, folder_of(context, tmp_path / "pictures"))

    assert scores.images == 16
    assert [path.name for path in staging.iterdir()] == [scores.id]


def test_a_folder_in_hdfs_is_scored_into_hdfs(hdfs: Settings, bundle: Path) -> None:
    store = open_store(hdfs)
    context = Context(settings=hdfs, store=store)
    for seed in range(3):
        store.write(f"asked/{seed}.png", png(seed))
    store.write("asked/note.txt", b"Not a picture.")
    place = store.uri("asked").replace(store.uri("").split("/medloop")[0], "hdfs://")

    scores = run(context, bundle, subjects.of_folder(small_spec(), context, place))

    names = {row["source_path"] for row in table(context, scores)}
    assert {"0.png", "1.png", "2.png"} < names
    (pseudonym,) = names - {"0.png", "1.png", "2.png"}
    assert pseudonym.endswith(".txt")
    assert pseudonym != "note.txt", "what is not proven to be an image may be named for a patient"
    assert scores.unreadable == {"unknown_format": 1}


def test_a_snapshot_in_hdfs_is_scored_into_hdfs(hdfs: Settings, bundle: Path) -> None:
    context = Context(settings=hdfs, store=open_store(hdfs))
    rows = images(3)

    snapshot = snapshotted(context, rows, identity="0002-scored")
    scores = run(context, bundle, subjects.of_snapshot(context, snapshot))

    assert len(table(context, scores)) == scores.images == len(rows)
