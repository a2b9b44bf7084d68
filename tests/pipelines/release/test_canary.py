"""The real service, asked before anything moves."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipelines.errors import CanaryFailed
from pipelines.release import canary
from pipelines.release.bundle import (
    EXPECTED,
    file_digests,
    read_manifest,
    stamp,
    write_manifest,
)
from pipelines.settings import PROJECT
from tests.pipelines.release.models import tiny_bundle, tiny_model


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil, stamped as version 3."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    stamp(folder, 3)
    return folder


def reseal(folder: Path) -> None:
    """Let a changed bundle look whole."""
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"files": file_digests(folder)}))


def descendants(process: psutil.Process) -> set[psutil.Process]:
    """All processes that a process started, and those started by them."""
    return set(process.children(recursive=True))


def test_a_good_bundle_is_answered_for_by_the_real_service_which_ends(
    copy: Path, tmp_path: Path
) -> None:
    before = descendants(psutil.Process())

    assert canary.ask_canary(copy, home=tmp_path) == 3

    assert descendants(psutil.Process()) <= before


def swapped_model(folder: Path) -> None:
    other = tiny_bundle(folder.parent / "other", tiny_model(seed=5))
    for name in ("model.xml", "model.bin"):
        shutil.copyfile(other / name, folder / name)


def swapped_expectation(folder: Path) -> None:
    text = (folder / EXPECTED).read_text()
    (folder / EXPECTED).write_text(text.replace('"predicted": "', '"predicted": "not_', 1))


def no_canary(folder: Path) -> None:
    (folder / EXPECTED).write_text("[]")


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another model": (swapped_model, "canary/"),
    "another class expected": (swapped_expectation, "the Keras model says not_"),
    "no canary images": (no_canary, "no canary images"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_a_bundle_that_answers_otherwise_fails_with_reasons(
    copy: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(copy)
    reseal(copy)
    before = descendants(psutil.Process())

    with pytest.raises(CanaryFailed, match=said):
        canary.ask_canary(copy, home=tmp_path)

    assert descendants(psutil.Process()) <= before


STAY = """
import sys, time
from pathlib import Path
from pipelines.release.canary import _service

with _service(Path(sys.argv[1]), home=Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(99)
"""


def test_a_canary_that_is_killed_leaves_no_service(copy: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STAY, str(copy), str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as asker:
        assert asker.stdout is not None
        assert asker.stdout.readline() == b"up\n"
        service = descendants(psutil.Process(asker.pid))
        assert service
        os.kill(asker.pid, signal.SIGKILL)

    _, alive = psutil.wait_procs(service, timeout=20)
    assert alive == []
