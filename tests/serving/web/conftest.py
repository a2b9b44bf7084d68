"""A browser, and a service for its page."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.serving.bundles import make_bundle
from tests.serving.running import running_service
from tests.serving.web.chromium import Tab, launch, opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. By module, as its event loop must not run under tests of other packages."""
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that is sure of most pictures, some with a finding and some without."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "phantom-1", seed=3)


@pytest.fixture(scope="session")
def http(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that answers for one data set."""
    with running_service(tmp_path_factory.mktemp("page"), "--bundle", str(decided)) as client:
        yield client


@pytest.fixture
def tab(browser: Browser, http: httpx.Client) -> Iterator[Tab]:
    """The page, on a desk."""
    with opened(browser, origin_of(http)) as tab:
        yield tab


def origin_of(http: httpx.Client) -> str:
    """Where a service's page is."""
    return str(http.base_url).rstrip("/")
