"""The page of a service that asks for tokens."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from pipelines.access.store import add_token, revoke_token
from pipelines.access.tokens import Role, mint
from pipelines.settings import Settings
from tests.serving.bundles import png
from tests.serving.running import running_service
from tests.serving.web.chromium import Tab, opened
from tests.serving.web.conftest import origin_of


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The installation's."""
    return Settings(home=tmp_path_factory.mktemp("closed"))


@pytest.fixture(scope="module")
def closed(bundle: Path, settings: Settings) -> Iterator[httpx.Client]:
    """A service that asks for tokens."""
    make_token(settings, "first")
    arguments = ("--bundle", str(bundle))
    with running_service(settings.home, *arguments, service_auth="on") as client:
        yield client


@pytest.fixture
def tab(browser: Browser, closed: httpx.Client) -> Iterator[Tab]:
    """Its page."""
    with opened(browser, origin_of(closed)) as tab:
        yield tab


@pytest.fixture
def new_token(closed: httpx.Client, settings: Settings) -> Callable[[str], str]:
    """Makes a token that may ask for predictions, and waits until the service knows it."""

    def make(name: str) -> str:
        text = make_token(settings, name)
        until(closed, text, status=200)
        return text

    return make


def make_token(settings: Settings, name: str) -> str:
    """A token in the installation's file."""
    token, text = mint(name, Role.PREDICT)
    add_token(settings, token)
    return text


def until(http: httpx.Client, text: str, *, status: int) -> None:
    """Wait until the service answers a token so; it looks at its file once a second."""
    deadline = time.monotonic() + 10
    headers = {"Authorization": f"Bearer {text}"}
    while http.get("/model", headers=headers).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def enter(tab: Tab, text: str) -> None:
    """Type a token into the dialog."""
    dialog = tab.page.get_by_role("dialog", name="Access token")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Token").fill(text)
    dialog.get_by_role("button", name="Use token").click()


def test_the_page_asks_for_a_token_and_works_with_it(
    tab: Tab, new_token: Callable[[str], str]
) -> None:
    expect(tab.page.get_by_role("dialog")).to_contain_text("only to those who have a token")
    enter(tab, new_token("reader"))
    expect(tab.page.get_by_role("dialog")).to_be_hidden()
    expect(tab.page.locator("#served")).to_contain_text("version 1")
    tab.add(a_png=png(1))
    expect(tab.card("a.png").locator(".answer")).to_be_visible()


def test_the_token_lives_as_long_as_the_tab_and_stands_nowhere_else(
    tab: Tab, new_token: Callable[[str], str]
) -> None:
    text = new_token("passer-by")
    enter(tab, text)
    expect(tab.page.locator("#served")).to_contain_text("version 1")
    tab.page.reload()
    expect(tab.page.locator("#served")).to_contain_text("version 1")
    expect(tab.page.get_by_role("dialog")).to_be_hidden()
    assert tab.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert text not in tab.page.content()
    other = tab.page.context.new_page()
    other.goto(tab.origin)
    expect(other.get_by_role("dialog", name="Access token")).to_be_visible()

    tab.page.get_by_role("button", name="Forget token").click()
    expect(tab.page.get_by_role("dialog", name="Access token")).to_be_visible()
    assert tab.page.evaluate("sessionStorage.length") == 0


def test_what_is_no_token_is_said_to_be_none(tab: Tab) -> None:
    enter(tab, "hello")
    expect(tab.page.get_by_role("dialog")).to_contain_text("no token of this service")
    tab.page.keyboard.press("Escape")
    notice = tab.page.locator("#notice")
    expect(notice).to_contain_text("needs an access token")
    notice.get_by_role("button", name="Enter a token").click()
    expect(tab.page.get_by_role("dialog", name="Access token")).to_be_visible()


def test_images_wait_for_the_next_token_when_one_is_revoked(
    tab: Tab, closed: httpx.Client, settings: Settings, new_token: Callable[[str], str]
) -> None:
    leaver, successor = new_token("leaver"), new_token("successor")
    enter(tab, leaver)
    expect(tab.page.locator("#served")).to_contain_text("version 1")
    revoke_token(settings, "leaver")
    until(closed, leaver, status=401)
    tab.add(a_png=png(1))
    expect(tab.page.get_by_role("dialog")).to_contain_text("revoked")
    enter(tab, successor)
    expect(tab.card("a.png").locator(".answer")).to_be_visible()
