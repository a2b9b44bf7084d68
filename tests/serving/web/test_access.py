"""The page for everyone: by keyboard, by screen reader, on a phone, in the dark."""

from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.serving.bundles import CLASSES, png
from tests.serving.web.chromium import Tab, large, opened
from tests.serving.web.conftest import origin_of

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is now."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found]


@pytest.mark.parametrize(
    ("scheme", "options"), [("light", {}), ("dark", PHONE)], ids=["light desk", "dark phone"]
)
def test_axe_finds_nothing_wrong_in_any_state(
    browser: Browser, http: httpx.Client, scheme: str, options: dict[str, Any]
) -> None:
    with opened(browser, origin_of(http), color_scheme=scheme, **options) as tab:
        expect(tab.page.locator("#served")).to_contain_text("version 1")
        assert violations(tab.page) == []
        tab.add(a_png=png(1), bad_png=b"no image")
        expect(tab.card("a.png").locator(".answer")).to_be_visible()
        expect(tab.card("bad.png").get_by_role("alert")).to_be_visible()
        show_everything(tab.page)
        assert violations(tab.page) == []
        tab.page.get_by_role("button", name="Model card").click()
        assert violations(tab.page) == []
        tab.page.keyboard.press("Escape")
        tab.page.evaluate("document.getElementById('token').showModal()")
        assert violations(tab.page) == []


def show_everything(page: Page) -> None:
    """Uncover what only some answers need, with words in it."""
    page.evaluate(
        """() => document.querySelectorAll(
             "#notice, .note, .attention, .sources, .working, .missed"
           ).forEach((element) => {
             element.hidden = false;
             const list = element.querySelector("ul");
             if (list) list.innerHTML = "<li>a reason</li>";
             else if (!element.children.length) element.textContent = "Some words.";
           })"""
    )
    page.locator("#notice p").evaluate("words => words.textContent = 'Something is the matter.'")


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_the_screen(browser: Browser, http: httpx.Client, width: int) -> None:
    options = {**PHONE, "viewport": {"width": width, "height": 740}}
    with opened(browser, origin_of(http), **options) as tab:
        tab.add(**{"a" * 60 + "_png": png(1), "bad_png": b"no image"})
        expect(tab.card("a" * 60 + ".png").locator(".answer")).to_be_visible()
        wide = "document.documentElement.scrollWidth"
        assert tab.page.evaluate(wide) <= width
        tab.page.get_by_role("button", name="Model card").click()
        assert tab.page.evaluate(wide) <= width


def test_everything_can_be_done_by_keyboard(tab: Tab) -> None:
    page = tab.page
    expect(page.locator("#served")).to_contain_text("version 1")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to choosing images")).to_be_focused()
    page.keyboard.press("Enter")
    with page.expect_file_chooser() as chooser:
        expect(page.locator("#files")).to_be_focused()
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "a.png", "mimeType": "", "buffer": png(1)})
    card = tab.card("a.png")
    expect(card.locator(".answer")).to_be_visible()

    tab_to(page, "input[type=radio]:checked")
    first = card.locator(".explained").inner_text()
    page.keyboard.press("ArrowDown")
    expect(card.locator(".explained")).not_to_have_text(first)
    page.keyboard.press("Tab")
    expect(card.get_by_label("Opacity")).to_be_focused()
    page.keyboard.press("End")
    expect(card.locator(".overlay")).to_have_css("opacity", "1")
    tab_to(page, "#download")
    with page.expect_download():
        page.keyboard.press("Enter")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector}")


def test_removing_a_card_leaves_the_focus_at_the_next(tab: Tab) -> None:
    tab.add(a_png=png(1), b_png=png(2))
    expect(tab.page.locator("#history tr")).to_have_count(2)
    for name in ("a.png", "b.png"):
        tab.page.get_by_role("button", name=f"Remove: {name}").press("Enter")
        if name == "a.png":
            expect(tab.card("b.png")).to_be_focused()
    expect(tab.page.locator("#files")).to_be_focused()


def test_a_button_that_goes_leaves_the_focus_near_by(tab: Tab) -> None:
    tab.page.route("**/explain", lambda _: None)
    tab.add(a_png=png(1), b_png=png(2))
    tab.page.get_by_role("button", name="Cancel: a.png").press("Enter")
    expect(tab.card("a.png")).to_be_focused()
    tab.page.get_by_role("button", name="Try again: a.png").press("Enter")
    expect(tab.card("a.png")).to_be_focused()
    tab.page.get_by_role("button", name="Cancel the rest").press("Enter")
    expect(tab.page.locator("#files")).to_be_focused()


def test_a_screen_reader_hears_what_becomes_of_an_image(tab: Tab) -> None:
    tab.page.evaluate(
        """() => {
          window.heard = [];
          const said = document.getElementById("said");
          new MutationObserver(() => window.heard.push(said.textContent))
            .observe(said, {childList: true});
        }"""
    )
    tab.add(a_png=large(1))
    card = tab.card("a.png")
    expect(card.locator(".answer")).to_be_visible()
    expect(card).to_have_attribute("aria-busy", "false")
    added, answered = tab.page.evaluate("window.heard")
    assert added == "a.png added"
    title, percent = (card.locator(f".{part}").inner_text() for part in ("title", "percent"))
    assert answered.startswith(f"a.png: {title}, {percent}")


def test_every_control_has_a_name_of_its_own(tab: Tab) -> None:
    tab.add(a_png=png(1), b_png=png(2))
    expect(tab.page.locator("#history tr")).to_have_count(2)
    for name in ("a.png", "b.png"):
        expect(tab.page.get_by_role("button", name=f"Remove: {name}")).to_be_visible()
        group = tab.card(name).get_by_role("group")
        for label in CLASSES:
            expect(group.get_by_role("radio", name=label.title())).to_be_visible()
        expect(tab.card(name).get_by_role("slider", name="Opacity")).to_be_visible()
        expect(tab.card(name).get_by_role("img", name="The image as sent")).to_be_visible()


def test_dark_is_dark_and_light_is_light(browser: Browser, http: httpx.Client) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        with opened(browser, origin_of(http), color_scheme=scheme) as tab:
            colour = tab.page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
            grounds[scheme] = sum(int(part) for part in colour[4:-1].split(","))
    assert grounds["dark"] < 150 < 600 < grounds["light"]
