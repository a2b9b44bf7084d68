"""Take the pictures of docs/images from a running stack: the page, MLflow, Airflow, Data Docs.

    .venv/bin/python docs/figures/screenshots.py phantom IMAGE [IMAGE …]

Needs Chromium (``stack/need-chromium.sh``) and a finished run of the data set; with
``--only page`` a service that answers for it is enough. Only synthetic or free images belong into
these pictures.
"""

import argparse
import io
import json
import shutil
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from pipelines.scheduler import open_scheduler
from pipelines.settings import Settings, get_settings
from pipelines.tracking.client import open_tracking

IMAGES = Path(__file__).resolve().parent.parent / "images"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 850}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--only", choices=("page", "stack"), help="take only some")
    arguments = parser.parse_args()
    settings = get_settings()
    with sync_playwright() as playwright:
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM)
        if arguments.only != "stack":
            _take_page(browser, settings, arguments.dataset, arguments.images)
        if arguments.only != "page":
            page = browser.new_page(**DESK)
            _take_mlflow(page, settings, arguments.dataset)
            _take_airflow(page, settings, arguments.dataset)
            _take_data_docs(page, settings)
        browser.close()


def _take_page(browser: Browser, settings: Settings, dataset: str, images: list[Path]) -> None:
    """The page by day and by night, on a phone, and where the model abstains."""
    files = [_payload(path.name, path.read_bytes()) for path in images]
    shots: dict[str, tuple[dict[str, Any], list[FilePayload]]] = {
        "page.png": (DESK, files),
        "page-dark.png": ({**DESK, "color_scheme": "dark"}, files),
        "page-phone.png": (PHONE, files[:1]),
        "page-abstention.png": (DESK, [_payload("pale.png", _paled(images[0]))]),
    }
    for name, (options, chosen) in shots.items():
        page = browser.new_page(**options)
        page.goto(settings.service)
        page.locator("#serving[data-state=up]").wait_for()
        if page.get_by_label("Kind of scan").is_visible():
            page.get_by_label("Kind of scan").select_option(dataset)
        page.set_input_files("#files", chosen)
        expect(page.locator("#history tr")).to_have_count(len(chosen))
        _save(page, name, settle=1, full_page=name != "page.png")
        page.close()


def _payload(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": content}


def _paled(path: Path) -> bytes:
    """The image with hardly any contrast left, as a PNG."""
    with Image.open(path) as image:
        pale = ImageEnhance.Contrast(image.convert("RGB")).enhance(0.04)
    file = io.BytesIO()
    pale.save(file, "PNG")
    return file.getvalue()


def _take_mlflow(page: Page, settings: Settings, dataset: str) -> None:
    tracking = open_tracking(settings)
    with tracking.reaching() as client:
        experiment = client.get_experiment_by_name(dataset)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])
    base = f"{settings.tracking_uri}/#"
    names = json.dumps([run.info.run_id for run in runs])
    page.goto(
        f"{base}/compare-runs?runs={names}&experiments={json.dumps([experiment.experiment_id])}"
    )
    page.get_by_role("button", name="Close").first.click()
    _save(page, "mlflow-compare.png", settle=6)
    run = f"{base}/experiments/{experiment.experiment_id}/runs/{runs[0].info.run_id}"
    page.goto(f"{run}/artifacts/figures/gradcam.png")
    _save(page, "mlflow.png", settle=8)


def _take_airflow(page: Page, settings: Settings, dataset: str) -> None:
    passwords = settings.home / "airflow" / "passwords.json"
    page.goto(f"{settings.airflow}/auth/login")
    page.wait_for_selector("input[name=username]")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", json.loads(passwords.read_text())["admin"])
    page.click("button[type=submit]")
    page.wait_for_timeout(3000)
    dag = f"retrain_{dataset}"
    finished = open_scheduler(settings).finished(dag)
    page.goto(f"{settings.airflow}/dags/{dag}/runs/{finished[-1]}")
    _save(page, "airflow.png", settle=8)


def _take_data_docs(page: Page, settings: Settings) -> None:
    page.goto((settings.home / "data_docs" / "index.html").as_uri())
    _save(page, "data-docs.png", settle=2)


def _save(page: Page, name: str, *, settle: float, full_page: bool = False) -> None:
    page.wait_for_timeout(settle * 1000)
    page.screenshot(path=IMAGES / name, full_page=full_page)
    print(IMAGES / name)


if __name__ == "__main__":
    main()
