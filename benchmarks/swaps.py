"""Swaps, refusals and restarts of a real service, and what is claimed of them."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from rich.progress import track

from benchmarks.claims import Claim
from benchmarks.swap_load import Answer, load
from pipelines.release.bundle import (
    EXPECTED,
    IR_WEIGHTS,
    file_digests,
    read_manifest,
    write_manifest,
)
from pipelines.release.predictor import open_predictor
from pipelines.settings import Settings
from serving.follower import recall
from tests.serving.bundles import png
from tests.serving.publishing import crown, publish
from tests.serving.running import running_service

DATASET = "phantom"
SECONDS = 10.0
"""Within which all workers answer with a new champion."""
TOLERANCE = 1e-5
GROWTH_MB = 10
POLL_SECONDS = 5.0
"""The service's default: how often it asks for the champion."""


@dataclass(frozen=True)
class Swap:
    """One champion, and when (by `time.monotonic`) what was so."""

    version: int
    crowned: float
    everywhere: float
    """When every worker said that it serves it."""
    megabytes: float
    """Memory of all workers then, without what they share."""


def prove_swaps(
    mlflow: Settings,
    home: Path,
    *,
    swaps: int,
    workers: int,
    clients: int,
    poll_seconds: float = POLL_SECONDS,
) -> list[Claim]:
    """Swap under load, with two bundles that must be refused half-way.

    Args:
        mlflow: reaches a running MLflow.
        home: state of the service.
        swaps: how often the champion changes.
        workers: processes of the service.
        clients: threads that ask without a pause.
        poll_seconds: how often the service asks MLflow.
    """
    expected = dict(_published(mlflow, home, seed) for seed in (1, 2))
    first, second = expected
    settings = {"mlflow_uri": mlflow.tracking_uri, "champion_poll_seconds": poll_seconds}
    with running_service(home, "--workers", str(workers), **settings) as http:
        _swap(http, mlflow, first, workers)
        done: list[Swap] = []
        refused: list[bool] = []
        with load(str(http.base_url), png(), dataset=DATASET, clients=clients) as answers:
            for turn in track(range(swaps), "Swapping", transient=True):
                if turn == swaps // 2:
                    refused = [_refused(http, mlflow, home, spoil) for spoil in (_alter, _lie)]
                done.append(_swap(http, mlflow, (second, first)[turn % 2], workers))
    return [
        *_claims_of_answers(answers, expected, done),
        _claim_of_times(done, workers),
        Claim("bad champions refused by every worker", "2", str(sum(refused)), sum(refused) == 2),
        _claim_of_memory(done, workers),
    ]


def prove_restarts(mlflow: Settings, home: Path, *, workers: int) -> list[Claim]:
    """Start the service again without MLflow: with its kept bundle, then with an altered one."""
    kept = recall(mlflow.model_copy(update={"home": home}), DATASET)
    assert kept is not None
    version = read_manifest(kept).model_version
    settings = {"mlflow_uri": mlflow.tracking_uri}
    with running_service(home, "--workers", str(workers), **settings) as http:
        served = _wait(lambda: _versions(http) == [version] * workers)
        away = _wait(lambda: _model(http)["registry"] == "unreachable")
    flip_a_bit(kept / IR_WEIGHTS)
    with running_service(home, "--workers", str(workers), **settings) as http:
        status = http.post("/predict", content=png(), headers={"Content-Type": "image/png"})
        reasons = [refusal["reason"] for refusal in _model(http)["refused"]]
    named = bool(reasons) and IR_WEIGHTS in reasons[0]
    return [
        Claim("without MLflow a restart serves the last good bundle", "yes", _yes(served), served),
        Claim("and says that the registry is unreachable", "yes", _yes(away), away),
        Claim(
            "a kept bundle that was altered is refused, and named",
            "503",
            f"{status.status_code}, {reasons}",
            status.status_code == 503 and named,
        ),
    ]


def _yes(so: bool) -> str:
    return "yes" if so else "no"


def flip_a_bit(file: Path) -> None:
    """Alter a file as little as can be."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def _published(mlflow: Settings, home: Path, seed: int) -> tuple[int, tuple[float, ...]]:
    """A new version, and the probabilities it gives the picture that is asked."""
    folder = home / "made" / str(seed)
    version = publish(mlflow, folder, dataset=DATASET, seed=seed)
    predictor = open_predictor(folder, "openvino", cache=home / "cache", threads=1)
    return version, tuple(map(float, predictor.read(png()).probabilities))


def _swap(http: httpx.Client, mlflow: Settings, version: int, workers: int) -> Swap:
    crown(mlflow, DATASET, version)
    crowned = time.monotonic()
    _wait(lambda: _versions(http) == [version] * workers)
    return Swap(version, crowned, everywhere=time.monotonic(), megabytes=_megabytes(http))


def _refused(
    http: httpx.Client, mlflow: Settings, home: Path, spoil: Callable[[Path], None]
) -> bool:
    """Crown a spoiled bundle; whether every worker refuses it and keeps what it has."""
    before = _versions(http)
    folder = home / "made" / spoil.__name__
    version = publish(mlflow, folder, dataset=DATASET, seed=3, spoil=spoil)
    crown(mlflow, DATASET, version)

    def everywhere() -> bool:
        workers = _model(http)["workers"]
        return all(version in [r["model_version"] for r in w["refused"]] for w in workers)

    return _wait(everywhere) and _versions(http) == before


def _alter(folder: Path) -> None:
    """Weights that are not those that were bundled."""
    (folder / IR_WEIGHTS).write_bytes(b"not these weights")


def _lie(folder: Path) -> None:
    """Whole by its hashes, but its canary images are answered otherwise than it says."""
    expected = json.loads((folder / EXPECTED).read_text("utf-8"))
    for image in expected:
        names = list(image["probabilities"])
        image["probabilities"] = dict.fromkeys(names, 1 / len(names))
    (folder / EXPECTED).write_text(json.dumps(expected), "utf-8")
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"files": file_digests(folder)}))


def _claims_of_answers(
    answers: Sequence[Answer], expected: dict[int, tuple[float, ...]], swaps: Sequence[Swap]
) -> list[Claim]:
    failures = Counter(answer.status for answer in answers if answer.status != 200)
    told = "".join(f"; {count} with status {status}" for status, count in failures.items())
    mixed = sum(
        answer.version not in expected
        or not np.allclose(answer.probabilities, expected[answer.version], atol=TOLERANCE)
        for answer in answers
        if answer.status == 200
    )
    late = sum(_is_late(answer, swaps) for answer in answers)
    return [
        Claim(
            "requests that failed",
            "0",
            f"{failures.total()} of {len(answers):,}{told}",
            not failures,
        ),
        Claim(
            "answers that name one version and give another's numbers", "0", str(mixed), not mixed
        ),
        Claim("answers by the old version once all workers said the new", "0", str(late), not late),
    ]


def _is_late(answer: Answer, swaps: Sequence[Swap]) -> bool:
    """Whether a request that began when a version was everywhere was answered by another."""
    crownings = [swap.crowned for swap in swaps[1:]] + [float("inf")]
    return any(
        swap.everywhere < answer.began and answer.ended < until and answer.version != swap.version
        for swap, until in zip(swaps, crownings, strict=True)
    )


def _claim_of_times(swaps: Sequence[Swap], workers: int) -> Claim:
    seconds = [swap.everywhere - swap.crowned for swap in swaps]
    return Claim(
        f"from the alias until all {workers} workers serve it",
        f"at most {SECONDS:g} s",
        f"{np.median(seconds):.1f} s in the middle, {max(seconds):.1f} s at most",
        max(seconds) <= SECONDS,
    )


def _claim_of_memory(swaps: Sequence[Swap], workers: int) -> Claim:
    """In the second half of the swaps: in the first, each part is used for the first time."""
    grown = (swaps[-1].megabytes - swaps[len(swaps) // 2].megabytes) / workers
    return Claim(
        "memory by which a worker grows in the second half of the swaps",
        f"at most {GROWTH_MB} MB",
        f"{grown:.1f} MB, to {swaps[-1].megabytes / workers:.0f} MB",
        grown <= GROWTH_MB,
    )


def _model(http: httpx.Client) -> dict[str, Any]:
    report: dict[str, Any] = http.get("/model").json()
    return report


def _versions(http: httpx.Client) -> list[int]:
    """The version of each worker that has one."""
    workers = _model(http)["workers"]
    return [m["model_version"] for w in workers for m in w["models"] if m["dataset"] == DATASET]


def _megabytes(http: httpx.Client) -> float:
    pids = [worker["pid"] for worker in _model(http)["workers"]]
    return sum(float(psutil.Process(pid).memory_full_info().uss) for pid in pids) / 2**20


def _wait(condition: Callable[[], bool], *, seconds: float = 60) -> bool:
    """Whether it came to be in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
