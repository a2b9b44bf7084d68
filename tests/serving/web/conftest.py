"""A browser, and the page of a service in it."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.serving.web.chromium import Tab, launch, opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. By module, as its event loop must not run under tests of other packages."""
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Browser, http: httpx.Client) -> Iterator[Tab]:
    """The page, on a desk."""
    with opened(browser, origin_of(http)) as tab:
        yield tab


def origin_of(http: httpx.Client) -> str:
    """Where a service's page is."""
    return str(http.base_url).rstrip("/")
