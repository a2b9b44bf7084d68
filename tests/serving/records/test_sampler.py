"""A share of the answers reaches the store, off the request path."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
from prometheus_client import REGISTRY

from pipelines.access.tokens import Role
from pipelines.audit.entries import audit_folder, find_answers
from pipelines.monitoring.samples import Sample
from pipelines.release.predictor import Predictor
from pipelines.settings import Settings
from pipelines.storage.hdfs import HdfsStore
from pipelines.storage.local import LocalStore
from serving.context import Principal, RequestContext
from serving.follower import remember
from serving.image_request import prediction_of
from serving.records import Answered
from serving.records import sampler as sampling
from serving.records.sampler import Batches, Sampler, sample_of
from tests.pipelines.monitoring.read_back import read_samples
from tests.serving.bundles import CLASSES, png
from tests.serving.running import free_port, start, stop, wait_until_ready


def answered(predictor: Predictor, seed: int) -> Answered:
    reading = predictor.read(png(seed))
    request_id = f"{seed:016x}"
    person = Principal(Role.PREDICT, "a person's name")
    return Answered(
        RequestContext("192.0.2.1", request_id, principal=person),
        "/predict",
        predictor=predictor,
        reading=reading,
        prediction=prediction_of(predictor, reading, request_id=request_id),
        seconds=0.01,
    )


def sample(predictor: Predictor, seed: int) -> Sample:
    return sample_of(answered(predictor, seed), datetime.now(UTC))


def today(store: LocalStore | HdfsStore) -> pa.Table:
    return read_samples(store, "phantom", datetime.now(UTC).date())


def lost() -> float:
    return REGISTRY.get_sample_value("medloop_samples_total", {"outcome": "lost"}) or 0


def until(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_sample_holds_the_model_s_view_and_no_pixels_or_names(predictor: Predictor) -> None:
    seen = answered(predictor, 1)
    kept = sample_of(seen, datetime.now(UTC))
    assert kept.request_id == seen.context.request_id
    assert kept.features == pytest.approx(seen.reading.features.mean(axis=(0, 1)))
    assert kept.predicted == seen.prediction.class_name
    assert kept.sha256 == seen.reading.sha256
    assert (kept.width, kept.height) == (60, 40)
    grey = seen.reading.picture @ np.array([0.299, 0.587, 0.114])
    assert kept.mean == pytest.approx(grey.mean(), abs=1)
    assert kept.std == pytest.approx(grey.std(), abs=1)
    assert "person" not in repr(kept)
    assert "192.0.2.1" not in repr(kept)


def test_every_answer_is_written_at_a_share_of_one(
    predictor: Predictor, local_store: LocalStore
) -> None:
    sampler = Sampler(Batches(local_store, every_seconds=60), share=1)
    sampler.start()
    for seed in range(5):
        sampler.note(answered(predictor, seed))
    sampler.stop()
    table = today(local_store)
    assert sorted(table["request_id"].to_pylist()) == [f"{seed:016x}" for seed in range(5)]
    assert [name for name in table.column_names if "probability" in name] == [
        f"probability.{name}" for name in CLASSES
    ]


def test_an_answer_that_cannot_be_reduced_costs_only_itself(
    predictor: Predictor, local_store: LocalStore
) -> None:
    good = answered(predictor, 1)
    broken = replace(good, reading=replace(good.reading, picture=np.zeros((0, 0, 3), np.uint8)))
    before = lost()
    sampler = Sampler(Batches(local_store, every_seconds=60), share=1)
    sampler.start()
    for one in (broken, good):
        sampler.note(one)
    sampler.stop()
    assert today(local_store).num_rows == 1
    assert lost() - before == 1


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.3, 220, 380)])
def test_a_share_of_the_answers_is_taken(
    predictor: Predictor,
    local_store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    low: int,
    high: int,
) -> None:
    taken: list[Sample] = []
    kept = Batches(local_store, every_seconds=60)
    monkeypatch.setattr(kept, "put", taken.append)
    sampler = Sampler(kept, share=share)
    sampler.start()
    one = answered(predictor, 1)
    for _ in range(1000):
        sampler.note(one)
        while not sampler._in_hand.empty():
            time.sleep(0)
    sampler.stop()
    assert low <= len(taken) <= high


def test_noting_never_waits_for_a_busy_thread(
    predictor: Predictor, local_store: LocalStore
) -> None:
    sampler = Sampler(Batches(local_store, every_seconds=60), share=1)  # its thread never runs
    before, began = lost(), time.perf_counter()
    one = answered(predictor, 1)
    for _ in range(100):
        sampler.note(one)
    assert time.perf_counter() - began < 0.5
    assert lost() - before == 100 - sampler._in_hand.maxsize


def test_a_full_batch_does_not_wait_for_its_time(
    predictor: Predictor, local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "BATCH", 3)
    kept = Batches(local_store, every_seconds=600)
    kept.start()
    for seed in range(3):
        kept.put(sample(predictor, seed))
    until("the batch is written", lambda: today(local_store).num_rows == 3)
    kept.stop()


def test_what_comes_during_the_last_writes_is_written_too(
    predictor: Predictor, local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sample(predictor, 1), sample(predictor, 2)
    writing, go_on = threading.Event(), threading.Event()
    place = local_store.place

    def wait_and_place(path: str, data: bytes) -> None:
        writing.set()
        assert go_on.wait(5)
        place(path, data)

    monkeypatch.setattr(local_store, "place", wait_and_place)
    kept = Batches(local_store, every_seconds=0.01)
    kept.start()
    kept.put(first)
    assert writing.wait(5)
    kept.put(second)
    threading.Timer(0.1, go_on.set).start()
    kept.stop()
    assert today(local_store).num_rows == 2


def test_a_store_that_is_away_costs_only_the_oldest(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "KEPT", 4)
    monkeypatch.setattr(sampling, "RETRY_SECONDS", 0.05)
    (tmp_path / "store").write_text("a file where the store's folder should be")
    store, before = LocalStore(tmp_path / "store"), lost()
    kept = Batches(store, every_seconds=0.05)
    kept.start()
    for seed in range(10):
        kept.put(sample(predictor, seed))
        time.sleep(0.02)
    until("the trouble is noticed", lambda: kept._is_away)
    (tmp_path / "store").unlink()
    until("it is written again", lambda: today(store).num_rows == 4)
    kept.stop()
    assert sorted(today(store)["request_id"].to_pylist()) == [f"{n:016x}" for n in range(6, 10)]
    assert lost() - before == 6


def test_hdfs_that_is_away_ends_nothing(
    predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    store = HdfsStore("hdfs://127.0.0.1:9/x", webhdfs="http://127.0.0.1:9", user="u")
    before = lost()
    kept = Batches(store, every_seconds=0.05)
    kept.start()
    kept.put(sample(predictor, 1))
    until("the trouble is noticed", lambda: kept._is_away)
    kept.stop()
    assert lost() - before == 1
    assert "HDFS does not answer" in caplog.text
    assert "1 samples were not written and are lost" in caplog.text


def test_samples_reach_a_real_hdfs(predictor: Predictor, hdfs: Settings, tmp_path: Path) -> None:
    root = f"{hdfs.store_root}/{tmp_path.name}"
    store = HdfsStore(root, webhdfs=hdfs.webhdfs, user=hdfs.hdfs_user)
    kept = Batches(store, every_seconds=0.05)
    kept.start()
    kept.put(sample(predictor, 1))
    # stop() gives up on a slow store after a while, and an HDFS that has just started is slow
    until("the sample is written", lambda: today(store).num_rows == 1)
    kept.stop()
    assert today(store)["request_id"].to_pylist() == [f"{1:016x}"]


@dataclass(frozen=True)
class Service:
    http: httpx.Client
    process: subprocess.Popen[bytes]


@pytest.fixture
def home(tmp_path: Path, bundle: Path) -> Path:
    """A service's home in which a bundle has served before, so that no registry is needed."""
    remember(Settings(home=tmp_path), "phantom", bundle)
    return tmp_path


@pytest.fixture
def service(home: Path) -> Iterator[Service]:
    """The real service, sampling every answer."""
    port = free_port()
    process = start(
        home,
        "--port",
        str(port),
        mlflow_uri="http://127.0.0.1:9",
        service_sample_share=1,
        service_sample_seconds=0.3,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            wait_until_ready(http, process, home)
            yield Service(http, process)
    finally:
        stop(process)


def test_a_service_that_stops_writes_what_it_has(home: Path, service: Service) -> None:
    http, process = service.http, service.process
    ids = [http.post("/predict", files={"image": png(n)}).json()["request_id"] for n in range(20)]
    stop(process)
    assert sorted(today(LocalStore(home / "store"))["request_id"].to_pylist()) == sorted(ids)
    folder = audit_folder(Settings(home=home))
    assert all(find_answers(folder, request_id) for request_id in ids)


def test_a_service_that_is_killed_leaves_whole_files_only(home: Path, service: Service) -> None:
    http, process = service.http, service.process
    store, rows = LocalStore(home / "store"), 0
    while rows < 3:
        http.post("/predict", files={"image": png(1)})
        rows = today(store).num_rows
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert today(store).num_rows >= rows
