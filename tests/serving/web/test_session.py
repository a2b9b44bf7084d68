"""The list of a session's answers, and the file made of it."""

import csv
import io
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.serving.bundles import CLASSES, png
from tests.serving.web.chromium import Tab, payload


def downloaded(tab: Tab) -> list[dict[str, Any]]:
    """The rows of the CSV file."""
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename.endswith(".csv")
    text = download.value.path().read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_says_what_the_service_said(tab: Tab, http: httpx.Client) -> None:
    said = http.post("/predict", files={"image": png(1)}).json()
    tab.add(a_png=png(1))
    expect(tab.card("a.png").locator(".answer")).to_be_visible()
    [row] = downloaded(tab)
    assert row["file"] == "a.png"
    assert row["dataset"] == "phantom"
    assert row["model_version"] == "1"
    assert row["synthetic"] == "true"
    assert row["class"] == said["class"]
    for name in CLASSES:
        assert abs(float(row[f"p_{name}"]) - said["probabilities"][name]) < 1e-6
    provenance = tab.card("a.png").locator(".provenance").inner_text()
    assert row["request_id"]
    assert row["request_id"] in provenance
    assert row["error"] == ""


def test_failed_images_stand_in_the_list_and_the_file(tab: Tab) -> None:
    tab.add(bad_png=b"no image")
    expect(tab.page.locator("#history tr")).to_contain_text("Failed: ")
    [row] = downloaded(tab)
    assert row["class"] == ""
    assert row["error"] == tab.card("bad.png").get_by_role("alert").inner_text()


def test_awkward_file_names_neither_break_nor_run_in_a_spreadsheet(tab: Tab) -> None:
    names = ['=cmd|"x",1.png', "+1.png", "@a.png", 'a "b", c.png', "ödem.png", " =b.png"]
    tab.page.set_input_files("#files", [payload(name, png(1)) for name in names])
    expect(tab.page.locator("#history tr")).to_have_count(len(names))
    files = {row["file"] for row in downloaded(tab)}
    assert files == {"'" + names[0], "'+1.png", "'@a.png", names[3], names[4], "' =b.png"}


def test_the_list_outlives_the_cards_and_holds_no_pixels(tab: Tab) -> None:
    tab.add(a_png=png(1), b_png=png(2))
    expect(tab.page.locator("#history tr")).to_have_count(2)
    tab.page.get_by_role("button", name="Remove: a.png").click()
    assert {row["file"] for row in downloaded(tab)} == {"a.png", "b.png"}
    stored = tab.page.evaluate(
        "async () => [localStorage.length, sessionStorage.length, document.cookie.length,"
        " (await indexedDB.databases()).length, (await caches.keys()).length]"
    )
    assert stored == [0, 0, 0, 0, 0]


def test_an_entry_leads_to_its_card(tab: Tab) -> None:
    tab.add(a_png=png(1), b_png=png(2))
    expect(tab.page.locator("#history tr")).to_have_count(2)
    tab.page.locator("#history").get_by_role("link", name="b.png").click()
    expect(tab.card("b.png")).to_be_focused()


def test_the_list_can_be_cleared(tab: Tab) -> None:
    tab.add(a_png=png(1))
    expect(tab.page.locator("#history tr")).to_have_count(1)
    tab.page.get_by_role("button", name="Clear list").click()
    expect(tab.page.locator("#session")).to_be_hidden()
    tab.add(b_png=png(2))
    expect(tab.page.locator("#history tr")).to_have_count(1)
    assert [row["file"] for row in downloaded(tab)] == ["b.png"]


def test_a_sample_image_is_answered_by_one_click(tab: Tab) -> None:
    offered = tab.page.locator("#samples")
    expect(offered).to_contain_text("Drawn here (CC0-1.0)")
    expect(offered.get_by_role("button")).to_have_count(len(CLASSES))
    offered.get_by_role("button").first.click()
    expect(tab.card(f"{CLASSES[0]}-0.png").locator(".answer")).to_be_visible()
