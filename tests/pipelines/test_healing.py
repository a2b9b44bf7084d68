"""Only what can heal is tried again."""

import errno
import os
import sqlite3
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import httpx
import pytest
import requests
from hdfs.util import HdfsError
from mlflow.exceptions import MlflowException

from pipelines.errors import (
    BadImage,
    BundleError,
    CheckFailed,
    MedloopError,
    NotFound,
    SettingsError,
    SparkJobFailed,
    StoreUnavailable,
    TrackingUnavailable,
    Unavailable,
)
from pipelines.healing import can_heal
from pipelines.spark.failures import failure
from pipelines.storage.hdfs import HdfsStore
from pipelines.tracking.client import Tracking

HEALS: list[BaseException] = [
    StoreUnavailable("HDFS does not answer"),
    ConnectionResetError("reset by peer"),
    TimeoutError("timed out"),
    OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)),
    BrokenProcessPool("a child was killed"),
    MemoryError(),
    requests.ConnectionError("refused"),
    requests.ReadTimeout("slow"),
    httpx.ConnectError("refused"),
    sqlite3.OperationalError("database is locked"),
    MlflowException("boom", error_code=1),
]
STAYS: list[BaseException] = [
    CheckFailed("12 of 100 files quarantined"),
    KeyError("sha256"),
    ValueError("shapes differ"),
    FileNotFoundError(errno.ENOENT, "no such file"),
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    sqlite3.OperationalError("no such table: files"),
    requests.HTTPError("403 Forbidden"),
    MlflowException("no such parameter", error_code=1000),
]


@pytest.mark.parametrize("error", HEALS, ids=repr)
def test_what_can_heal_is_tried_again(error: BaseException) -> None:
    assert can_heal(error)


@pytest.mark.parametrize("error", STAYS, ids=repr)
def test_what_fails_the_same_way_again_is_not(error: BaseException) -> None:
    assert not can_heal(error)


ABORTED = (
    "An error occurred while calling o99.parquet.\n: org.apache.spark.SparkException: Job aborted "
    "due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent failure: Lost task 0.3 "
    "in stage 1.0 (TID 3) (vm executor driver): org.apache.spark.api.python.PythonException: "
    "Traceback (most recent call last):\n"
)
SPARK: dict[str, type[MedloopError]] = {
    "pipelines.errors.BundleError: it answers otherwise": BundleError,
    "pipelines.errors.BadImage: a/1.png is cut off": BadImage,
    "pipelines.errors.StoreUnavailable: no answer\n\nThe above exception was the direct cause of "
    "the following exception:\n\npipelines.errors.NotFound: no file": NotFound,
    "pipelines.errors.StoreUnavailable: HDFS does not answer": StoreUnavailable,
    "KeyError: 'sha256'": SparkJobFailed,
    "ValueError: cannot reshape array of size 3": SparkJobFailed,
    "org.apache.spark.sql.AnalysisException: no column x": SparkJobFailed,
    "ConnectionRefusedError: [Errno 111] Connection refused": Unavailable,
    "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)": Unavailable,
    "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)": Unavailable,
    "org.apache.hadoop.hdfs.server.namenode.SafeModeException: Cannot create": Unavailable,
    "org.apache.hadoop.hdfs.BlockMissingException: Could not obtain block": Unavailable,
}


@pytest.mark.parametrize("cause", SPARK)
def test_a_spark_job_fails_with_the_error_of_its_cause(cause: str) -> None:
    error = failure("prepare scans", f"{ABORTED}{cause}\n\tat org.apache.spark.Task.run(...)\n")

    assert type(error) is SPARK[cause]
    assert can_heal(error) == issubclass(SPARK[cause], Unavailable)
    if type(error) in (SparkJobFailed, Unavailable):
        assert str(error).startswith("Spark gave up: prepare scans. ")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, SettingsError),
        (403, MedloopError),
        (404, NotFound),
        (429, TrackingUnavailable),
        (503, TrackingUnavailable),
        (None, TrackingUnavailable),
    ],
)
def test_an_answer_of_mlflow_that_will_not_change_is_not_asked_for_again(
    status: int | None, kind: type[MedloopError]
) -> None:
    response: Any = requests.Response() if status else None
    if status:
        response.status_code = status

    with pytest.raises(MedloopError) as raised, Tracking("http://127.0.0.1:9").reaching():
        raise requests.HTTPError(f"{status} of the server", response=response)

    assert type(raised.value) is kind
    assert can_heal(raised.value) == (kind is TrackingUnavailable)


@pytest.mark.parametrize(
    ("exception", "said", "heals"),
    [
        ("SafeModeException", "Cannot create file. Name node is in safe mode.", True),
        ("RemoteException", "could only be written to 0 of the 1 minReplication nodes", True),
        (None, "<html>502 Bad Gateway</html>", True),
        ("AccessControlException", "Permission denied: user=bob", False),
        ("QuotaExceededException", "the quota is exceeded", False),
    ],
)
def test_an_answer_of_hdfs_that_will_not_change_is_not_asked_for_again(
    exception: str | None, said: str, heals: bool
) -> None:
    store = HdfsStore("hdfs://127.0.0.1:8020/m", webhdfs="http://127.0.0.1:9", user="medloop")

    with pytest.raises((HdfsError, StoreUnavailable)) as raised, store._reaching():
        raise HdfsError(said, exception=exception)

    assert can_heal(raised.value) == heals
