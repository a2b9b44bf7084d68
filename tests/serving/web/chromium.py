"""Debian's Chromium, driven by Playwright, and the page of a service in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    Playwright,
    Request,
)

from tests.serving.bundles import png

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-sync",
]
STATUS_LINE = "Failed to load resource"
"""How Chromium tells of an HTTP status from 400 up and of a refused connection."""


def launch(playwright: Playwright) -> Browser:
    """Start the installed browser.

    Raises:
        AssertionError: there is none.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "Chromium is missing; run stack/need-chromium.sh"
    return playwright.chromium.launch(executable_path=found, args=ARGUMENTS)


@dataclass
class Tab:
    """A tab with the page in it, and what a person does there."""

    page: Page
    origin: str
    errors: list[str] = field(default_factory=list)
    """What the browser complained about, apart from HTTP statuses."""
    foreign: list[str] = field(default_factory=list)
    """Addresses asked for elsewhere than at the service."""
    asked: list[str] = field(default_factory=list)
    """Method and path of every request to the service."""

    def add(self, **files: bytes) -> None:
        """Choose files, by name (``scan_png=…`` is ``scan.png``)."""
        payloads = [payload(name.replace("_", "."), data) for name, data in files.items()]
        self.page.set_input_files("#files", payloads)

    def card(self, name: str) -> Locator:
        """The card of a file."""
        return self.page.get_by_role("article", name=name, exact=True)

    def sent(self, path: str) -> int:
        """How often a path was posted to."""
        return self.asked.count(f"POST {path}")

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(STATUS_LINE):
            self.errors.append(message.text)

    def see(self, request: Request) -> None:
        if request.url.startswith(self.origin):
            path = request.url.removeprefix(self.origin).partition("?")[0]
            self.asked.append(f"{request.method} {path}")
        elif not request.url.startswith(("data:", "blob:")):
            self.foreign.append(request.url)


@contextmanager
def opened(browser: Browser, origin: str, **options: Any) -> Iterator[Tab]:
    """The page of the service at ``origin``, in a session of its own.

    Raises:
        AssertionError: at the end, if the browser complained or anything was asked for elsewhere.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    page = context.new_page()
    tab = Tab(page, origin)
    page.on("console", tab.hear)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("request", tab.see)
    page.goto(f"{origin}/")
    yield tab
    context.close()
    assert not tab.errors, tab.errors
    assert not tab.foreign, tab.foreign


def payload(name: str, data: bytes) -> FilePayload:
    """A file as a person chooses it."""
    return {"name": name, "mimeType": "", "buffer": data}


def large(seed: int) -> bytes:
    """A picture that is not too small to be relied on."""
    return png(seed, width=120, height=90)
