"""The real service, asked before anything moves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pytest

from pipelines.errors import CanaryFailed
from pipelines.release import canary
from pipelines.release.bundle import (
    EXPECTED,
    Bundle,
    file_digests,
    load_bundle,
    read_manifest,
    stamp,
    write_manifest,
)
from pipelines.release.canary import find_problems
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


def test_a_guarded_installation_s_canary_is_asked_too(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_SERVICE_AUTH", "on")
    monkeypatch.setenv("MEDLOOP_SERVICE_TLS_CERT", "/etc/medloop/cert.pem")
    monkeypatch.setenv("MEDLOOP_SERVICE_TLS_KEY", "/etc/medloop/key.pem")
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        monkeypatch.setenv("MEDLOOP_CLASSIC_PORT", str(service.getsockname()[1]))

        assert canary.ask_canary(copy, home=tmp_path) == 3


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


GOOD_PICTURE = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def answers(bundle: Bundle, **changes: httpx.Response) -> httpx.MockTransport:
    """A service that answers as it should, but for what is changed: ``text``, ``gradcam``,
    ``predict``. The real one cannot be brought to misbehave so."""
    by_content = {(bundle.folder / image.file).read_bytes(): image for image in bundle.canary}

    def answer(request: httpx.Request) -> httpx.Response:
        asked = next((i for content, i in by_content.items() if content in request.content), None)
        if request.url.path == "/gradcam":
            return changes.get("gradcam", httpx.Response(200, content=GOOD_PICTURE))
        if asked is None:
            return changes.get("text", httpx.Response(415))
        good = {
            "model_version": bundle.manifest.model_version,
            "class": asked.predicted,
            "confidence": asked.probabilities[asked.predicted],
            "probabilities": asked.probabilities,
        }
        return changes.get("predict", httpx.Response(200, json=good))

    return httpx.MockTransport(answer)


UNSURE = {"clear": 0.4, "spot": 0.3, "haze": 0.3}
MISBEHAVING: dict[str, tuple[dict[str, httpx.Response], str]] = {
    "takes a text for an image": ({"text": httpx.Response(200)}, "text file: 200, expected 4xx"),
    "breaks on a text": ({"text": httpx.Response(500)}, "text file: 500, expected 4xx"),
    "breaks on an image": ({"predict": httpx.Response(500, text="oh")}, "clear-00.png: 500 oh"),
    "draws no overlay": ({"gradcam": httpx.Response(200, content=b"x")}, "clear-00.png: 200, no"),
    "serves another version": (
        {
            "predict": httpx.Response(
                200, json={"model_version": 2, "class": "clear", "probabilities": UNSURE}
            )
        },
        "answered by version 2, not 3",
    ),
}


def test_a_service_that_behaves_has_no_problems(copy: Path) -> None:
    bundle = load_bundle(copy)
    with httpx.Client(base_url="http://service", transport=answers(bundle)) as http:
        assert list(find_problems(bundle, http)) == []


@pytest.mark.parametrize(("changes", "said"), MISBEHAVING.values(), ids=MISBEHAVING)
def test_a_service_that_misbehaves_is_told_from_one_that_does_not(
    copy: Path, changes: dict[str, httpx.Response], said: str
) -> None:
    bundle = load_bundle(copy)
    with httpx.Client(base_url="http://service", transport=answers(bundle, **changes)) as http:
        assert any(said in problem for problem in find_problems(bundle, http))


def test_of_two_classes_that_stand_alike_against_their_thresholds_either_may_be_named(
    copy: Path,
) -> None:
    plain = load_bundle(copy)
    image = max(plain.canary, key=lambda one: max(one.probabilities.values()))
    other = min(image.probabilities, key=lambda name: image.probabilities[name])
    # proportional to the probabilities: every class is decided for as much as another
    tied = plain.manifest.model_copy(update={"thresholds": dict(image.probabilities)})
    said = {
        "model_version": plain.manifest.model_version,
        "class": other,
        "confidence": image.probabilities[other],
        "probabilities": image.probabilities,
    }
    service = answers(plain, predict=httpx.Response(200, json=said))
    problem = f"{image.file}: class {other}, the Keras model says"

    with httpx.Client(base_url="http://service", transport=service) as http:
        strict = list(find_problems(plain, http))
        lenient = list(find_problems(replace(plain, manifest=tied), http))

    assert any(text.startswith(problem) for text in strict)
    assert not any(text.startswith(problem) for text in lenient)


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
