"""Every benchmark that README and docs name runs, on the installation that the loop has filled.

With its smallest options: what they measure is for quiet machines, so the figures are not judged,
but for proofs that count failures. `tests/documentation` checks how the documents spell them.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.claims import Claim
from pipelines.settings import PROJECT, get_settings
from stack.environment import settings_environment

from .conftest import SPEC, Loop

pytestmark = pytest.mark.timeout(1200)
MASKS = "masks/{folder}/{stem}.png"
QUICK = ("--seconds", "0.1")
SMALLEST = {
    "attention": ("tiny", "LANDING", "OUT", "scratch"),
    "banded_search": ("LANDING", "--images", "100"),
    "batching": ("--bundle", "BUNDLE", "--rounds", "2", *QUICK),
    "calibration": ("PREDICTIONS",),
    "dag_overhead": ("tiny", "--run", "RUN"),
    "decoders": ("--seconds", "0"),
    "drift": ("PHANTOMS", "--phantoms", "240", "--repetitions", "1", "--clean", "2"),
    "drift_estimates": ("PHANTOMS", "--repetitions", "1"),
    "drift_features": ("PHANTOMS", "--repetitions", "1"),
    "split_shares": ("tiny", "LANDING", "--deliveries", "2", "--repeats", "1"),
    "duplicate_pairs": ("tiny", "LANDING", "--pairs", "2", "--sheet", "OUT/pairs.png"),
    "fuzz_service": ("--requests", "20"),
    "gate_rules": ("--draw", "OUT/rules.png", "--trials", "5", "--chains", "1"),
    "handmade": ("tiny", "--only", "texture-published"),
    "heat_on_lesions": ("PHANTOMS",),
    "image_table": ("file://OUT/tables", "--images", "50", "--delivery", "5"),
    "learning_curves": ("--runs", "1"),
    "lesion_crop": ("masked", "LANDING", "scratch", "--epochs", "1"),
    "models": ("tiny",),
    "novelty": ("BUNDLE", "PREPARED"),
    "operating_point": ("tiny", "PREDICTIONS"),
    "poses": ("MODEL", "PREPARED"),
    "prepare": ("tiny", "LANDING", "--cores", "1"),
    "prove_swap": ("--swaps", "3", "--workers", "2", "--clients", "2", "--poll", "0.2"),
    "replicas": ("--bundle", "BUNDLE", *QUICK),
    "results": ("tiny",),
    "retention": ("--days", "3", "--plot", "OUT/retention.png"),
    "score": ("tiny", "LANDING", "BUNDLE", "--rounds", "1", "--cores", "1", "--most", "120"),
    "service": ("--bundle", "BUNDLE", "--rounds", "2", *QUICK),
    "shortcuts": ("LANDING", "PREPARED", "--images", "20"),
    "soak": ("--minutes", "0.05", "--bundle", "BUNDLE", "--plot", "OUT/soak.png"),
    "sources": ("LANDING", "PREPARED", "--seeds", "1"),
    "training": ("speed", "PREPARED"),
    "watching": ("--files", "20"),
}
MAY_FAIL_ITS_CLAIMS = {"service", "soak"}
"""They claim speed, which a busy machine does not have; they exit with 1 then."""
MAY_FIND_NOTHING = {"heat_on_lesions"}
"""A network of a few epochs may call no image a lesion; the table is empty then."""
ELSEWHERE = {
    *("prove_unattended", "prove_cluster", "prove_containers", "prove_bento", "prove_wheel"),
    *("scale", "hdfs_put"),
}
"""Run by tests of their own, or by hand: containers need root, podman and minutes, a new
environment minutes and gigabytes; a measurement of scale starts processes and a Spark session of
its own, the other one an HDFS."""


def test_the_loop_needs_nobody(unattended: "Future[list[Claim]]") -> None:
    claims = unattended.result(timeout=900)

    assert len(claims) == 6
    assert [claim for claim in claims if not claim.holds] == []


def test_heavy_steps_of_two_data_sets_take_turns(loop: Loop) -> None:
    runs = [run for name in ("tiny", "phantom") for run in loop.runs(f"retrain_{name}")]
    tasks = [task for run in runs for task in loop.tasks(run["dag_id"], run["dag_run_id"])]

    assert _at_once(tasks, pool="heavy") == 1


def test_every_documented_benchmark_is_run() -> None:
    pages = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    text = makefile + "".join(page.read_text("utf-8") for page in pages)
    named = set(re.findall(r"python -m benchmarks\.(\w+)", text))

    assert named - set(SMALLEST) - ELSEWHERE == set()


@pytest.fixture(scope="module")
def paths(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words in capitals mean."""
    home = loop.settings.home
    bundles = {
        name: str(next(path for path in (home / "bundles" / name).iterdir() if path.is_dir()))
        for name in ("tiny", "phantom")
    }
    masked = SPEC | {"name": "masked", "landing": {**SPEC["landing"], "masks": MASKS}}
    masked["retrain"] = {"on_landing": False}
    masked["segmenter"] = {"folds": 2}
    (loop.settings.datasets / "masked.yaml").write_text(yaml.safe_dump(masked))
    cache = loop.settings.cache / "tiny"
    return {
        "LANDING": str(loop.landing),
        "OUT": str(tmp_path_factory.mktemp("drawn")),
        "BUNDLE": bundles["tiny"],
        "PHANTOMS": bundles["phantom"],
        "PREPARED": str(next((cache / "training_sets").iterdir())),
        "PREDICTIONS": str(next(home.rglob("predictions.parquet"))),
        "MODEL": str(next(home.rglob("model.keras"))),
        "RUN": loop.runs("retrain_tiny")[0]["dag_run_id"],
    }


@pytest.fixture
def as_a_user_of(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process reads the settings of the loop's installation."""
    for name, value in settings_environment(loop.settings).items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("as_a_user_of")
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_and_prints_its_figures(
    name: str,
    paths: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = re.compile("|".join(paths))
    arguments = [words.sub(lambda found: paths[found[0]], word) for word in SMALLEST[name]]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    ended = 0
    try:
        importlib.import_module(f"benchmarks.{name}").main()
    except SystemExit as ending:
        ended = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
    assert ended in ((0, 1) if name in MAY_FAIL_ITS_CLAIMS else (0,))
    printed = capsys.readouterr().out
    assert printed.strip() if name in MAY_FIND_NOTHING else re.search(r"\d", printed), printed
    assert Path(paths["OUT"]).is_dir()


def _at_once(tasks: list[dict[str, Any]], *, pool: str) -> int:
    """How many tasks of a pool ran at the same time, at most."""
    timed = [t for t in tasks if t["pool"] == pool and t["end_date"]]
    begins = [(t["start_date"], 1) for t in timed]
    ends = [(t["end_date"], -1) for t in timed]
    return max(accumulate(step for _, step in sorted(begins + ends)))
