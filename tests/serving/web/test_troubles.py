"""What the page says, and does, when the service is away, busy or refuses."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from pipelines.settings import Settings
from serving.follower import remember
from tests.serving.bundles import make_bundle, png
from tests.serving.running import free_port, start, stop, wait_until_ready
from tests.serving.web.chromium import Tab, opened
from tests.serving.web.conftest import origin_of


@pytest.fixture(scope="module")
def nowhere() -> Iterator[str]:
    """The address of a registry that is away: bound, so that nobody takes it, and deaf."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_what_was_added_is_sent_once_there_is_a_service_with_a_model(
    browser: Browser, tmp_path: Path, nowhere: str
) -> None:
    """No model yet; then no service; then a service that answers for two data sets."""
    port = free_port()
    process = start(tmp_path, "--port", str(port), mlflow_uri=nowhere)
    try:
        with ExitStack() as until_the_end:
            enter = until_the_end.enter_context
            http = enter(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))
            wait_until_ready(http, process, tmp_path)
            tab = enter(opened(browser, origin_of(http)))
            notice, served = tab.page.locator("#notice"), tab.page.locator("#served")
            expect(notice).to_contain_text("No model serves yet. First run medloop retrain")
            tab.add(early_png=png(1), cancelled_png=png(1))
            expect(tab.card("early.png")).to_contain_text("sent when the service answers")
            tab.page.get_by_role("button", name="Cancel: cancelled.png").click()
            expect(tab.card("cancelled.png").get_by_role("alert")).to_have_text("Cancelled.")

            stop(process)
            expect(notice).to_contain_text("The service cannot be reached.")
            expect(served).to_have_text("Not connected")

            for dataset in ("brain_mri", "phantom"):
                folder = make_bundle(tmp_path / dataset, dataset=dataset)
                remember(Settings(home=tmp_path), dataset, folder)
            process = start(tmp_path, "--port", str(port), mlflow_uri=nowhere)
            wait_until_ready(http, process, tmp_path)
            expect(notice).to_be_hidden()
            expect(served).to_contain_text("The phantom images, version 1")
            early = tab.card("early.png").locator(".provenance")
            expect(early).to_contain_text("The brain_mri images")

            tab.page.get_by_label("Kind of scan").select_option("phantom")
            tab.add(late_png=png(1))
            late = tab.card("late.png").locator(".provenance")
            expect(late).to_contain_text("The phantom images")
            assert tab.sent("/explain") >= 3
    finally:
        stop(process)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_when_it_said(tab: Tab, status: int) -> None:
    asked = 0

    def busy_once(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            route.continue_()
            return
        body = {"error": {"code": "busy", "message": "Too much to do."}, "request_id": "x"}
        route.fulfill(status=status, headers={"Retry-After": "1"}, json=body)

    tab.page.route("**/explain", busy_once)
    tab.add(a_png=png(1))
    expect(tab.card("a.png")).to_contain_text("The service is busy; asking again in 1 s")
    expect(tab.card("a.png").locator(".answer")).to_be_visible()
    assert asked == 2


def test_a_failure_of_the_service_is_told_with_its_request_and_can_be_tried_again(
    tab: Tab,
) -> None:
    body = {"error": {"code": "internal", "message": "A mistake."}, "request_id": "abc123"}
    tab.page.route("**/explain", lambda route: route.fulfill(status=500, json=body))
    tab.add(a_png=png(1))
    expect(tab.card("a.png").get_by_role("alert")).to_have_text("A mistake. (request abc123)")
    tab.page.unroute("**/explain")
    tab.page.get_by_role("button", name="Try again: a.png").click()
    expect(tab.card("a.png").locator(".answer")).to_be_visible()
    expect(tab.page.locator("#history tr")).to_have_count(2)


def test_an_overlay_that_fails_leaves_the_one_that_was_there(tab: Tab) -> None:
    tab.add(a_png=png(1))
    card = tab.card("a.png")
    expect(card.locator(".answer")).to_be_visible()
    first = card.locator(".explained").inner_text()
    before = card.locator(".overlay").get_attribute("src")
    body = {"error": {"code": "internal", "message": "A mistake."}, "request_id": "abc123"}
    tab.page.route("**/explain", lambda route: route.fulfill(status=500, json=body))
    other = card.get_by_role("radio", checked=False).first
    name = str(other.get_attribute("value")).title()
    other.click()
    expect(card.locator(".missed")).to_have_text("A mistake. (request abc123)")
    expect(card.get_by_role("radio", name=first)).to_be_checked()
    expect(card.locator(".overlay")).to_have_attribute("src", str(before))

    tab.page.unroute("**/explain")
    card.get_by_role("radio", name=name).click()
    expect(card.locator(".explained")).to_have_text(name)
    expect(card.locator(".missed")).to_be_hidden()


def test_a_proxys_own_error_page_is_no_riddle(tab: Tab) -> None:
    tab.page.route("**/explain", lambda route: route.fulfill(status=502, body="<html>"))
    tab.add(a_png=png(1))
    alert = tab.card("a.png").get_by_role("alert")
    expect(alert).to_have_text("The service answered with status 502.")


def test_a_connection_that_always_breaks_off_is_given_up(tab: Tab) -> None:
    tab.page.route("**/explain", lambda route: route.abort())
    tab.page.clock.install()
    tab.add(a_png=png(1))
    for _ in range(4):
        tab.page.clock.run_for(2_500)
        tab.page.wait_for_timeout(100)
    expect(tab.card("a.png").get_by_role("alert")).to_contain_text("may be too large")


def test_one_image_or_the_rest_can_be_cancelled(tab: Tab) -> None:
    held: list[Route] = []
    tab.page.route("**/explain", lambda route: held.append(route))
    tab.add(**{f"{i}_png": png(i) for i in range(5)})
    expect(tab.page.locator("#batch-text")).to_have_text("0 of 5")
    tab.page.get_by_role("button", name="Cancel: 0.png").click()
    expect(tab.card("0.png").get_by_role("alert")).to_have_text("Cancelled.")
    expect(tab.page.locator("#batch-text")).to_have_text("1 of 5")
    tab.page.get_by_role("button", name="Cancel the rest").click()
    for i in range(5):
        expect(tab.card(f"{i}.png").get_by_role("alert")).to_have_text("Cancelled.")
    assert len(held) < 5, "what waited for its turn was sent all the same"
    expect(tab.page.locator("#session")).to_be_hidden()


def test_a_file_that_cannot_be_read_is_said_to_be_so(tab: Tab, tmp_path: Path) -> None:
    scan = tmp_path / "scan.png"
    scan.write_bytes(png(1))
    tab.page.evaluate(
        """() => {
          Blob.prototype.arrayBuffer = () => Promise.reject(new DOMException("", "NotFoundError"));
        }"""
    )
    tab.page.set_input_files("#files", scan)
    alert = tab.card("scan.png").get_by_role("alert")
    expect(alert).to_contain_text("cannot read this file")
