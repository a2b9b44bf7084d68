"""Take the pictures of docs/images from a running stack: the page, MLflow, Airflow, Data Docs.

    uv run --group docs python docs/figures/screenshots.py phantom IMAGE

Needs Debian's chromium (`apt-get install chromium`) and a finished run of the data set.
"""

import argparse
import json
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from pipelines.scheduler import open_scheduler
from pipelines.settings import Settings, get_settings
from pipelines.tracking.client import open_tracking

IMAGES = Path(__file__).resolve().parent.parent / "images"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("image", type=Path)
    arguments = parser.parse_args()
    settings = get_settings()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        _take_page(page, settings, arguments.dataset, arguments.image)
        _take_mlflow(page, settings, arguments.dataset)
        _take_airflow(page, settings, arguments.dataset)
        _take_data_docs(page, settings)
        browser.close()


def _take_page(page: Page, settings: Settings, dataset: str, image: Path) -> None:
    page.goto(settings.service)
    chooser = page.locator("select").first
    if chooser.count() and chooser.locator("option").count() > 1:
        chooser.select_option(dataset)
    page.locator("input[type=file]").first.set_input_files(image)
    _save(page, "page.png", settle=4)


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


def _save(page: Page, name: str, *, settle: float) -> None:
    page.wait_for_timeout(settle * 1000)
    page.screenshot(path=IMAGES / name)
    print(IMAGES / name)


if __name__ == "__main__":
    main()
