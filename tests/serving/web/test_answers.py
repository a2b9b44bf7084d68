"""What the page shows of the service's answers."""

import io
import re

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from tests.pipelines.imaging.pictures import file_of, greys
from tests.pipelines.imaging.scans import scan_of
from tests.serving.bundles import CLASSES, jpeg, png
from tests.serving.web.chromium import Tab


def test_a_chosen_image_is_answered_as_the_service_answers_it(tab: Tab, http: httpx.Client) -> None:
    said = http.post("/explain", files={"image": png(3)}).json()
    prediction = said["prediction"]
    tab.add(scan_png=png(3))
    card = tab.card("scan.png")
    expect(card.locator(".title")).to_have_text(prediction["title"])
    expect(card.locator(".percent")).to_have_text(f"{100 * prediction['confidence']:.1f} %")
    for name, share in prediction["probabilities"].items():
        row = card.locator(".bars label", has=tab.page.get_by_role("radio", name=name.title()))
        expect(row.locator("b")).to_have_text(f"{100 * share:.1f} %")
        width = row.locator(".track i").evaluate("bar => parseFloat(bar.style.width)")
        assert abs(width - 100 * share) < 0.01
    expect(card.locator(".about")).to_have_text(said["about"])
    expect(card.locator(".provenance")).to_contain_text("model version 1")
    expect(card.get_by_text("Synthetic model")).to_be_visible()
    expect(tab.page.locator("#disclaimer")).to_have_text(prediction["disclaimer"])


def test_the_texts_stand_with_the_class_that_is_explained(tab: Tab, http: httpx.Client) -> None:
    fields = {"target": "spot", "opacity": "1"}
    said = http.post("/explain", files={"image": png(3)}, data=fields).json()
    tab.add(scan_png=png(3))
    card = tab.card("scan.png")
    card.get_by_role("radio", name="Spot").check()
    expect(card.locator(".about-title")).to_have_text("About: Spot")
    expect(card.locator(".recommendations li")).to_have_text(said["recommendations"])
    card.get_by_text("Sources").click()
    for source in said["sources"]:
        link = card.get_by_role("link", name=source["title"])
        expect(link).to_have_attribute("href", source["url"])
        expect(link).to_have_attribute("rel", "noopener noreferrer")
    attention = card.locator(".attention")
    if said["attention"]:
        expect(attention).to_have_text(said["attention"]["text"])
    else:
        expect(attention).to_be_hidden()


def test_the_likeliest_class_stands_first_and_is_the_one_explained(tab: Tab) -> None:
    tab.add(scan_png=png(3))
    rows = tab.card("scan.png").locator(".bars label")
    expect(rows).to_have_count(len(CLASSES))
    shares = [float(text.split()[0]) for text in rows.locator("b").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    expect(rows.first.get_by_role("radio")).to_be_checked()


def test_original_and_overlay_are_drawn_in_the_images_proportions(tab: Tab) -> None:
    tab.add(wide_jpg=jpeg(width=90, height=30))
    card = tab.card("wide.jpg")
    expect(card.locator(".answer")).to_be_visible()
    for picture in ("original", "plain", "overlay"):
        shown = card.locator(f".{picture}")
        expect(shown).to_have_js_property("naturalWidth", 90)
        expect(shown).to_have_js_property("naturalHeight", 30)


def test_formats_a_browser_cannot_draw_are_shown_as_the_service_decoded_them(tab: Tab) -> None:
    tiff = file_of(Image.new("RGB", (48, 40), "teal"), "TIFF")
    tab.add(scan_dcm=scan_of(greys()), scan_tif=tiff)
    height, width = greys().shape
    expect(tab.card("scan.dcm").locator(".original")).to_have_js_property("naturalWidth", width)
    expect(tab.card("scan.dcm").locator(".original")).to_have_js_property("naturalHeight", height)
    expect(tab.card("scan.tif").locator(".original")).to_have_js_property("naturalWidth", 48)
    assert tab.sent("/explain") == 2
    assert tab.sent("/gradcam") == 0


def test_another_class_is_explained_when_chosen_and_asked_for_once(
    tab: Tab, http: httpx.Client
) -> None:
    tab.add(scan_png=png(3))
    card = tab.card("scan.png")
    expect(card.locator(".answer")).to_be_visible()
    first = card.locator(".bars").get_by_role("radio", checked=True).get_attribute("value")
    other = next(name for name in CLASSES if name != first)
    files, fields = {"image": png(3)}, {"target": other, "opacity": "1"}
    said = http.post("/explain", files=files, data=fields).json()

    card.get_by_role("radio", name=other.title()).check()
    expect(card.locator(".explained")).to_have_text(other.title())
    expect(card.locator(".about")).to_have_text(f"About {other}.")
    expect(card.locator(".overlay")).to_have_attribute("src", said["overlay"])
    assert tab.sent("/explain") == 2

    card.get_by_role("radio", name=str(first).title()).check()
    expect(card.locator(".explained")).to_have_text(str(first).title())
    assert tab.sent("/explain") == 2


def test_opacity_fades_the_overlay_and_asks_nothing(tab: Tab) -> None:
    tab.add(scan_png=png(3))
    card = tab.card("scan.png")
    expect(card.locator(".answer")).to_be_visible()
    before = len(tab.asked)
    slider = card.get_by_label("Opacity")
    for value, opacity in (("0", 0), ("35", 0.35), ("100", 1)):
        slider.fill(value)
        expect(card.locator(".overlay")).to_have_css("opacity", str(opacity))
        expect(card.locator("output")).to_have_text(f"{value} %")
    assert tab.sent("/explain") == 1
    assert not [path for path in tab.asked[before:] if path.startswith("POST")]


def test_pictures_can_be_enlarged_and_made_small_again(tab: Tab) -> None:
    tab.add(scan_png=png(3))
    card = tab.card("scan.png")
    expect(card.locator(".answer")).to_be_visible()
    enlarge = card.get_by_role("button", name="Enlarge")
    wide = "picture => picture.getBoundingClientRect().width"
    before = card.locator(".overlay").evaluate(wide)
    enlarge.click()
    expect(enlarge).to_have_attribute("aria-pressed", "true")
    assert card.locator(".overlay").evaluate(wide) > 1.5 * before
    enlarge.click()
    expect(enlarge).to_have_attribute("aria-pressed", "false")
    assert card.locator(".overlay").evaluate(wide) == before


def test_the_faded_overlay_is_what_the_service_would_draw(http: httpx.Client) -> None:
    """Fading in the browser is the same blend, so nothing is lost by not asking again."""

    def drawn(opacity: str) -> NDArray[np.float64]:
        reply = http.post("/gradcam", files={"image": png(3)}, data={"opacity": opacity})
        return np.asarray(Image.open(io.BytesIO(reply.content)), float)

    faded = 0.4 * drawn("1") + 0.6 * drawn("0")
    assert np.abs(faded - drawn("0.4")).max() < 2.5


def test_several_images_each_get_their_card_and_a_bad_one_spoils_none(
    tab: Tab, http: httpx.Client
) -> None:
    tab.add(a_png=png(1), bad_png=b"this is no image", b_jpg=jpeg(2), c_png=png(3), d_png=png(4))
    for name in ("a.png", "b.jpg", "c.png", "d.png"):
        expect(tab.card(name).locator(".answer")).to_be_visible()
    said = http.post("/explain", files={"image": b"this is no image"}).json()["error"]["message"]
    expect(tab.card("bad.png").get_by_role("alert")).to_have_text(said)
    expect(tab.card("bad.png").get_by_role("button", name="Try again: bad.png")).to_be_visible()
    expect(tab.page.locator("#said")).to_have_text("All 5 images are done")
    expect(tab.page.locator("#batch")).to_be_hidden()


def test_at_most_three_images_are_asked_at_once(tab: Tab) -> None:
    tab.page.evaluate(
        """() => {
          const fetch = window.fetch; window.most = 0; let now = 0;
          window.fetch = async (...request) => {
            window.most = Math.max(window.most, ++now);
            try { return await fetch(...request); } finally { now -= 1; }
          };
        }"""
    )
    tab.add(**{f"{i}_png": png(i) for i in range(9)})
    for i in range(9):
        expect(tab.card(f"{i}.png").locator(".answer")).to_be_visible()
    assert 2 <= tab.page.evaluate("window.most") <= 4


def test_dropped_images_are_taken_and_the_target_shows_it(tab: Tab) -> None:
    transfer = tab.page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
          return transfer;
        }""",
        list(png(5)),
    )
    drop = tab.page.locator("#drop")
    drop.dispatch_event("dragover", {"dataTransfer": transfer})
    expect(drop).to_have_class(re.compile("over"))
    drop.dispatch_event("drop", {"dataTransfer": transfer})
    expect(drop).not_to_have_class(re.compile("over"))
    expect(tab.card("dropped.png").locator(".answer")).to_be_visible()


def test_a_pasted_image_is_taken(tab: Tab) -> None:
    tab.page.evaluate(
        """bytes => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([new Uint8Array(bytes)], "pasted.png"));
          document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
        }""",
        list(png(5)),
    )
    expect(tab.card("pasted.png").locator(".answer")).to_be_visible()


def test_the_header_names_the_model_and_its_card_tells_the_rest(
    tab: Tab, http: httpx.Client
) -> None:
    [model] = http.get("/model").json()["models"]
    expect(tab.page.locator("#served")).to_have_text("The phantom images, version 1 (synthetic)")
    tab.page.get_by_role("button", name="Model card").click()
    card = tab.page.get_by_role("dialog", name="Model card")
    expect(card.get_by_role("row", name="Accuracy")).to_contain_text("90.0 %")
    for fact in ("snapshot", "split", "run_id", "git_commit", "candidate"):
        expect(card).to_contain_text(model[fact])
    expect(card.get_by_role("row")).to_have_count(len(model["metrics"]))
    expect(card).to_contain_text("images drawn by a program")
    whole = card.get_by_role("link", name="Model card, complete")
    expect(whole).to_have_attribute("href", "/card?dataset=phantom")
    expect(card).to_contain_text("Drawn here. Licence: CC0-1.0.")
    expect(card).to_contain_text("1,200 to learn from, 150 to choose by, 300 to test with")
    tab.page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(tab.page.get_by_role("button", name="Model card")).to_be_focused()


def test_a_closed_card_gives_its_picture_back(tab: Tab) -> None:
    tab.add(a_png=png(1))
    expect(tab.card("a.png").locator(".original")).to_have_js_property("naturalWidth", 60)
    address = tab.card("a.png").locator(".original").get_attribute("src")
    drawn = "from => Object.assign(new Image(), {src: from}).decode().then(() => true, () => false)"
    assert tab.page.evaluate(drawn, address)
    tab.page.get_by_role("button", name="Remove: a.png").click()
    expect(tab.page.get_by_role("article")).to_have_count(0)
    assert not tab.page.evaluate(drawn, address)
