"""What browsers are told the page may do, and that the page needs no more."""

import re

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from serving.app import WEB
from tests.serving.web.chromium import Tab, payload


def test_nothing_inline_and_nothing_from_elsewhere_is_allowed(http: httpx.Client) -> None:
    policy = http.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("script", ["<img src=x onerror='window.hit=1'>", "<script>hit=1</script>"])
def test_a_file_name_is_text_and_never_markup(tab: Tab, script: str) -> None:
    name = f"{script}.png"
    tab.page.set_input_files("#files", payload(name, b"no image"))
    expect(tab.page.locator(".card .file")).to_have_text(name)
    expect(tab.page.locator("#history tr")).to_have_count(1)
    assert tab.page.evaluate("window.hit") is None


def test_the_api_page_works_under_its_policy(tab: Tab) -> None:
    tab.page.get_by_role("link", name="API").click()
    expect(tab.page.get_by_text("Classify one image.")).to_be_visible()


def test_the_legend_shows_the_overlays_colours() -> None:
    css = (WEB / "card.css").read_text("utf-8")
    gradient = re.search(r"linear-gradient\(90deg, (#30123b[^)]*)\)", css)
    assert gradient
    stops = [bytes.fromhex(stop.strip()[1:7]) for stop in gradient.group(1).split(",")]
    ramp = np.linspace(0, 255, len(stops)).round().astype(np.uint8)[:, None]
    colours = cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[:, 0, ::-1]
    told = np.array([list(stop) for stop in stops])
    assert np.abs(told - colours.astype(int)).max() <= 1
