"""Take pictures of a version's evaluation report and model card, as `medloop report` fetches them.

    .venv/bin/python docs/figures/reports.py phantom [VERSION]

Needs Chromium (``stack/need-chromium.sh``), MLflow up, and a version that the gate has judged.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from pipelines.release.card.publish import fetch_pages
from pipelines.stage import default_context

IMAGES = Path(__file__).resolve().parent.parent / "images"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    """Write ``evaluation-<dataset>.png`` and ``card-<dataset>.png``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("version", type=int, nargs="?")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        pages = fetch_pages(default_context(), asked.dataset, asked.version, target=Path(folder))
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1100, "height": 1400})
        for file, name in zip(pages, ("evaluation", "card"), strict=True):
            page.goto(file.as_uri())
            target = IMAGES / f"{name}-{asked.dataset}.png"
            page.screenshot(path=str(target))
            print(target)
        browser.close()


if __name__ == "__main__":
    main()
