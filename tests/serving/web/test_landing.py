"""The page where images may be brought into the landing folder."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.access.store import add_token
from pipelines.access.tokens import Role, mint
from pipelines.settings import Settings
from tests.serving.bundles import png
from tests.serving.running import running_service
from tests.serving.web.chromium import opened, payload
from tests.serving.web.conftest import origin_of
from tests.serving.web.test_access import PHONE, violations


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landing")


@pytest.fixture(scope="module")
def texts(home: Path) -> dict[Role, str]:
    """A token of each role."""
    made = {}
    for role in Role:
        token, made[role] = mint(f"a-{role}", role)
        add_token(Settings(home=home), token)
    return made


@pytest.fixture(scope="module")
def closed(bundle: Path, home: Path, texts: dict[Role, str]) -> Iterator[httpx.Client]:
    """A service that asks for tokens."""
    assert texts
    with running_service(home, "--bundle", str(bundle), service_auth="on") as client:
        yield client


def enter(page: Page, text: str) -> None:
    """Type a token into the dialog."""
    dialog = page.get_by_role("dialog", name="Access token")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Token").fill(text)
    dialog.get_by_role("button", name="Use token").click()


def test_who_may_brings_several_images_and_hears_what_became_of_each(
    browser: Browser, closed: httpx.Client, texts: dict[Role, str], home: Path
) -> None:
    folder = home / "landing" / "phantom"
    with opened(browser, origin_of(closed), **PHONE) as tab:
        page = tab.page
        enter(page, texts[Role.UPLOAD])
        expect(page.locator("#notice")).to_contain_text("may not ask this")
        page.get_by_role("button", name="Add training images").press("Enter")
        dialog = page.get_by_role("dialog", name="Add training images")
        dialog.get_by_label("Data set").select_option("skin_lesion")
        expect(dialog).to_contain_text("metadata.csv")
        dialog.get_by_label("Data set").select_option("phantom")
        dialog.get_by_label("What all of them show").select_option("no_lesion")
        name = "<img src=x onerror='window.hit=1'>.png"
        files = [payload("a.png", png(1)), payload("b.png", png(1)), payload(name, b"no image")]
        dialog.get_by_label("Images", exact=True).set_input_files(files)
        dialog.get_by_role("button", name="Add images").press("Enter")
        expect(dialog.get_by_role("status")).to_contain_text(
            "1 accepted, 1 there already, 1 refused"
        )
        said = dialog.get_by_role("list", name="What became of each file").get_by_role("listitem")
        expect(said.nth(0)).to_have_text("a.png: accepted.")
        expect(said.nth(1)).to_have_text("b.png: is there already.")
        expect(said.nth(2)).to_contain_text(f"{name}: refused. This is text")
        assert page.evaluate("window.hit") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert violations(page) == []
        assert tab.sent("/landing/phantom") == 3
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.png"]
    assert (folder / "no_lesion" / "a.png").read_bytes() == png(1)


def test_it_is_offered_to_nobody_else(
    browser: Browser, closed: httpx.Client, texts: dict[Role, str]
) -> None:
    with opened(browser, origin_of(closed)) as tab:
        button = tab.page.locator("#open-landing")
        for role, is_offered in ((Role.PREDICT, False), (Role.ADMIN, True)):
            enter(tab.page, texts[role])
            expect(tab.page.locator("#served")).to_contain_text("version 1")
            expect(button).to_be_visible() if is_offered else expect(button).to_be_hidden()
            assert tab.asked.count("GET /landing") == (1 if is_offered else 0)
            tab.page.get_by_role("button", name="Forget token").click()
            expect(button).to_be_hidden()
