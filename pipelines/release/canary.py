"""The canary: the real service, with the challenger's bundle, asked real images before any
alias moves."""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from pipelines.errors import CanaryFailed
from pipelines.isolation import isolated_environment
from pipelines.outputs import Challenger
from pipelines.release import registry
from pipelines.release.bundle import Bundle, CanaryImage, load_bundle
from pipelines.service_client import bearer
from pipelines.settings import PROJECT
from pipelines.spec import DatasetSpec
from pipelines.stage import Context

logger = logging.getLogger(__name__)

START_SECONDS = 120.0
STOP_SECONDS = 20.0
LOG_TAIL = 1500


def run(spec: DatasetSpec, context: Context, challenger: Challenger) -> None:
    """Ask the challenger's canary images of a service of its own.

    Raises:
        CanaryFailed: it does not start, or an answer is not as it should be; the message names
            each.
        BundleError: the bundle is not whole.
        TrackingUnavailable: MLflow does not answer.
    """
    folder = registry.fetch(context, spec.name, challenger.version)
    asked = ask_canary(folder, home=context.settings.home)
    logger.info("%s: the service answers well on %d canary images", spec.name, asked)


def ask_canary(folder: Path, *, home: Path) -> int:
    """Start the real service with a bundle, ask it everything, end it.

    Args:
        folder: the bundle.
        home: state folder of the installation.

    Returns:
        Number of images asked.

    Raises:
        CanaryFailed: see `run`.
    """
    bundle = load_bundle(folder)
    if not bundle.canary:
        raise CanaryFailed(f"Bundle {folder} holds no canary images; select the candidate again.")
    with _service(folder, home=home) as http:
        try:
            problems = [*find_problems(bundle, http)]
        except (httpx.TransportError, ValueError, KeyError) as error:
            problems = [f"the service broke off ({type(error).__name__}: {error})"]
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise CanaryFailed(
            f"The service with {folder} failed {len(problems)} checks:\n{listed}\n"
            "The champion stays. Look at the bundle, or select another candidate."
        )
    return len(bundle.canary)


def find_problems(bundle: Bundle, http: httpx.Client) -> Iterator[str]:
    """Ask a service everything; one sentence for each answer that is wrong.

    Args:
        bundle: what the service should serve.
        http: a client of it.
    """
    for image in bundle.canary:
        content = (bundle.folder / image.file).read_bytes()
        answer = http.post("/predict", files={"image": (image.file, content)})
        if answer.status_code != httpx.codes.OK:
            yield f"/predict {image.file}: {answer.status_code} {answer.text[:200]}"
            continue
        yield from _differences(bundle, image, answer.json())
        overlay = http.post("/gradcam", files={"image": (image.file, content)})
        if overlay.status_code != httpx.codes.OK or not _is_picture(overlay.content):
            yield f"/gradcam {image.file}: {overlay.status_code}, no picture"
    refused = http.post("/predict", files={"image": ("note.txt", b"This is no image.")})
    if not 400 <= refused.status_code < 500:
        yield f"/predict of a text file: {refused.status_code}, expected 4xx"


def _differences(bundle: Bundle, image: CanaryImage, answer: dict[str, Any]) -> Iterator[str]:
    version = bundle.manifest.model_version
    if answer["model_version"] != version:
        yield f"{image.file}: answered by version {answer['model_version']}, not {version}"
    tolerance = bundle.manifest.tolerance
    limits, said = bundle.manifest.thresholds or {}, answer["probabilities"]
    # how far the one class stands above the other, each held against its threshold
    lead = answer["confidence"] * limits.get(image.predicted, 1)
    lead -= said.get(image.predicted, 0) * limits.get(answer["class"], 1)
    if answer["class"] != image.predicted and abs(lead) > tolerance:  # else they are as likely
        yield f"{image.file}: class {answer['class']}, the Keras model says {image.predicted}"
    for name, expected in image.probabilities.items():
        if not abs(said[name] - expected) <= tolerance:
            yield f"{image.file}: probability of {name} is {said[name]:.4f}, not {expected:.4f}"


def _is_picture(content: bytes) -> bool:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None


@contextmanager
def _service(folder: Path, *, home: Path) -> Iterator[httpx.Client]:
    """``python -m serving`` on a free port, in a process group of its own that ends with us.

    It reads none of the installation's settings: it is asked over loopback, by no certificate's
    name, beside a service that holds the ports.
    """
    port = _free_port()
    service = ["-m", "serving", "--host", "127.0.0.1", "--port", str(port), "--bundle", str(folder)]
    tether = [sys.executable, "-m", "pipelines.tether", str(os.getpid())]
    with tempfile.TemporaryFile(prefix="medloop-canary-") as log:
        process = subprocess.Popen(
            [*tether, sys.executable, *service],
            cwd=PROJECT,
            env=isolated_environment(home=home),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
                if not _is_ready(http, process):
                    log.seek(0)
                    tail = log.read().decode(errors="replace")[-LOG_TAIL:]
                    raise CanaryFailed(
                        f"The service did not become ready with {folder}; the champion stays. "
                        f"It said last:\n{tail}"
                    )
                http.headers.update(bearer(home))
                yield http
        finally:
            _end(process)


def _is_ready(http: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if http.get("/readyz").status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: politely, then for good."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
