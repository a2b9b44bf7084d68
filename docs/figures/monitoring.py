"""Watch a phantom model for real: the service asked over HTTP, clean, then out of focus.

    .venv/bin/python docs/figures/monitoring.py .medloop/bundles/phantom/2-28c90bbe

Starts MLflow and the service on ports of their own, lets `medloop monitor` judge what was asked,
prints what it says, and takes the picture of the report (docs/images/monitoring.png; Chromium:
stack/need-chromium.sh). The bundle is that of a finished `medloop run phantom`.
"""

import argparse
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image, ImageFilter
from playwright.sync_api import sync_playwright

from pipelines import loop
from pipelines.errors import Unavailable
from pipelines.monitoring.served import days, read_samples
from pipelines.phantom import generate
from pipelines.release.bundle import read_manifest, write_manifest
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings, get_settings
from pipelines.stage import default_context
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking
from stack.environment import settings_environment
from stack.testing import running_stack

IMAGES = Path(__file__).resolve().parent.parent / "images"
NAME = "phantom"
WINDOW = 100
CHROMIUM = ["--no-sandbox", "--disable-gpu"]


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    bundle = parser.parse_args().bundle
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        home = Path(folder)
        fields = {"store": (home / "store").as_uri(), "datasets": _datasets(home / "datasets")}
        service = {"service_sample_share": 1, "service_sample_seconds": 2}
        patient = {"service_wait_seconds": 60}
        with running_stack(["mlflow"], home=home, **fields, **service, **patient) as settings:
            _apply(settings)
            _champion(home, bundle)
            traffic = _strangers(home / "traffic")
            with _service(settings):
                labels = _ask(settings, traffic[: 3 * WINDOW])
                _say("medloop", "monitor", NAME)
                (home / "labels.csv").write_text("request_id,label\n" + "\n".join(labels[:60]))
                _say("medloop", "label", NAME, str(home / "labels.csv"))
                _ask(settings, traffic[3 * WINDOW :], radius=1.2)
                _say("medloop", "monitor", NAME)
            _say("cat", str(home / "metrics" / f"monitor-{NAME}.prom"))
            _picture(home / "reports" / f"{NAME}-monitoring.html")


def _apply(settings: Settings) -> None:
    """Let this process and those it starts use an installation."""
    os.environ |= settings_environment(settings)
    get_settings.cache_clear()


def _datasets(folder: Path) -> Path:
    """The phantoms alone, watched in smaller windows."""
    folder.mkdir()
    spec = (get_settings().datasets / f"{NAME}.yaml").read_text("utf-8")
    (folder / f"{NAME}.yaml").write_text(f"{spec}\nmonitor: {{window: {WINDOW}}}\n")
    return folder


def _champion(home: Path, bundle: Path) -> None:
    """Draw the images a phantom model learns from, and let the bundle be their champion."""
    generate(home / "landing" / NAME, seed=7)
    snapshot = loop.ingest(NAME, loop.land(NAME))
    divided = loop.split(NAME, snapshot)
    copy = home / "bundle"
    shutil.copytree(bundle, copy)
    tracking = open_tracking(get_settings())
    experiment = tracking.experiment(NAME, title=NAME)
    run = str(tracking.client.create_run(experiment).info.run_id)
    origin = {"run_id": run, "snapshot": snapshot.path, "split": divided.path}
    write_manifest(copy, read_manifest(copy).model_copy(update=origin))
    tracking.upload(run, copy, folder="bundle")
    registered = versions.register(tracking, NAME, run_id=run, artifact="bundle", about="", tags={})
    versions.set_alias(tracking, NAME, "champion", version=registered.version)


def _strangers(folder: Path) -> list[Path]:
    """Images of other subjects, one each, so that they are independent."""
    generate(folder, seed=2026, images=1200)
    by_subject = defaultdict(list)
    for path in sorted(folder.glob("*/subject2026*_slice*")):
        if "subject20269" not in path.name and path.parent.name != "masks":
            by_subject[path.name.partition("_")[0]].append(path)
    chance = random.Random(0)
    chosen = [chance.choice(paths) for paths in by_subject.values()]
    return chance.sample(chosen, 5 * WINDOW)


@contextmanager
def _service(settings: Settings) -> Iterator[None]:
    command = [sys.executable, "-m", "serving", "--port", str(settings.service_port)]
    with (settings.home / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _is_ready(settings):
            if process.poll() is not None:
                sys.exit((settings.home / "service.log").read_text()[-2000:])
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def _is_ready(settings: Settings) -> bool:
    try:
        return NAME in ServiceClient(settings).versions()
    except Unavailable:
        return False


def _ask(settings: Settings, images: list[Path], *, radius: float = 0) -> list[str]:
    """Ask the service about images, and wait until the answers are in the store.

    Returns:
        ``request_id,label`` of each.
    """
    expected = _sampled() + len(images)
    lines = []
    with httpx.Client(base_url=settings.service, timeout=60) as http:
        for path in images:
            reply = http.post("/predict", files={"image": _blurred(path, radius)})
            lines.append(f"{reply.raise_for_status().json()['request_id']},{path.parent.name}")
    while _sampled() < expected:
        time.sleep(0.5)
    print(f"\n# {len(images)} images asked about" + (", out of focus" if radius else ""))
    return lines


def _blurred(path: Path, radius: float) -> bytes:
    if not radius:
        return path.read_bytes()
    file = io.BytesIO()
    with Image.open(path) as image:
        image.filter(ImageFilter.GaussianBlur(radius)).save(file, "PNG")
    return file.getvalue()


def _sampled() -> int:
    store = default_context().store
    return sum(read_samples(store, NAME, day).num_rows for day in days(store, NAME))


def _say(*command: str) -> None:
    """Run a command as a person would, and show it."""
    print("$", *command, flush=True)
    program = [sys.executable, "-m", "pipelines.cli"] if command[0] == "medloop" else [command[0]]
    subprocess.run([*program, *command[1:]], check=True)


def _picture(report: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        page = browser.new_page(viewport={"width": 1100, "height": 2420})
        page.goto(report.as_uri())
        shot = page.screenshot()
        browser.close()
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(128).save(IMAGES / "monitoring.png", optimize=True)
    print(IMAGES / "monitoring.png")


if __name__ == "__main__":
    main()
