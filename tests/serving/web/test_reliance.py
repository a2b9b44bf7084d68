"""How the page says that an answer should not be relied on, or that a person should look."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.serving.bundles import png
from tests.serving.web.chromium import Tab, large

Said = dict[str, Any]


@pytest.fixture(scope="module")
def answers(http: httpx.Client) -> dict[int, Said]:
    """What the service says of some pictures, by seed."""
    files = [("image", (f"{seed}.png", large(seed))) for seed in range(24)]
    return {
        seed: result["prediction"]
        for seed, result in enumerate(http.post("/predict/batch", files=files).json()["results"])
    }


def one(answers: dict[int, Said], **wanted: bool) -> tuple[int, Said]:
    """A picture whose answer abstains, or asks for review, or does not."""
    for seed, said in answers.items():
        found = {"abstained": said["abstained"], "review": said["review"]["needed"]}
        if found == wanted:
            return seed, said
    raise AssertionError(f"no picture's answer is {wanted}")


def test_an_abstention_says_why_and_names_no_prediction(tab: Tab, http: httpx.Client) -> None:
    said = http.post("/predict", files={"image": png(1, width=30, height=30)}).json()
    assert said["abstained"]
    tab.add(tiny_png=png(1, width=30, height=30))
    card = tab.card("tiny.png")
    note = card.locator(".abstention")
    expect(note).to_contain_text("the model does not commit itself")
    for reason in said["abstained_because"]:
        expect(note).to_contain_text(reason["message"])
        expect(card.locator(".review")).not_to_contain_text(reason["message"])
    expect(card.locator(".eyebrow")).to_have_text("Nearest class")
    expect(card.locator(".review")).to_contain_text("A person should look at this first")
    expect(tab.page.locator("#history tr")).to_contain_text("No decision")
    expect(tab.page.locator("#said")).to_contain_text("no decision")


def test_a_finding_asks_for_a_person_and_says_why(tab: Tab, answers: dict[int, Said]) -> None:
    seed, said = one(answers, abstained=False, review=True)
    tab.add(a_png=large(seed))
    card = tab.card("a.png")
    for reason in said["review"]["reasons"]:
        expect(card.locator(".review li", has_text=reason["message"])).to_be_visible()
    expect(card.locator(".abstention")).to_be_hidden()
    expect(card.locator(".eyebrow")).to_have_text("Prediction")
    expect(tab.page.locator("#history td").last).to_have_text("Yes")


def test_where_nobody_is_needed_nobody_is_called(tab: Tab, answers: dict[int, Said]) -> None:
    seed, _ = one(answers, abstained=False, review=False)
    tab.add(a_png=large(seed))
    card = tab.card("a.png")
    expect(card.locator(".answer")).to_be_visible()
    expect(card.locator(".review")).to_be_hidden()
    expect(card.locator(".abstention")).to_be_hidden()
    expect(tab.page.locator("#history td").last).to_have_text("No")
