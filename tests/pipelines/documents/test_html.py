"""A page as HTML: whole, self-contained, and read by programs that read aloud."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.documents.document import (
    Document,
    Grid,
    Picture,
    Points,
    Section,
    Text,
    Warnings,
)
from pipelines.documents.html import page

VOID = {"meta", "img", "br", "link"}


class Reader(HTMLParser):
    """Notes every tag, and that each is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "heat.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(file)
    return file


def document(picture: Path) -> Document:
    grid = Grid("Figures <of> all", ("figure", "value"), (("accuracy", 0.91234), ("n", 1200)))
    inner = Section("Within", (Picture(picture, 'Heat & "light"'), Warnings(("mind <this>",))))
    parts = [Section(f"Part {n}", (Points(("one", "two")),)) for n in range(4)]
    return Document(
        "A & B", (Text("1 < 2"), grid), (*parts, Section("Last", (), (inner,))), "Foot."
    )


def test_nothing_comes_from_elsewhere_and_every_tag_is_closed(picture: Path) -> None:
    text = page(document(picture))
    read = Reader(text)

    assert [image["alt"] for image in read.all("img")] == ['Heat & "light"']
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in read.all("img"))
    assert not read.all("script")
    assert not read.all("link")
    assert "http" not in text


def test_headings_contents_and_tables_can_be_followed_without_seeing_them(picture: Path) -> None:
    read = Reader(page(document(picture)))

    assert len(read.all("h1")) == 1
    assert len(read.all("h2")) == 5
    assert len(read.all("h3")) == 1
    ids = [section["id"] for section in read.all("section")]
    assert [link["href"] for link in read.all("a")] == [f"#part-{n}" for n in range(4)] + ["#last"]
    assert {str(link["href"])[1:] for link in read.all("a")} <= set(ids)
    headed = {head["id"] for tag in ("h2", "h3") for head in read.all(tag)}
    assert {section["aria-labelledby"] for section in read.all("section")} == headed
    scopes = [cell["scope"] for cell in read.all("th")]
    assert scopes == ["col", "col", "row", "row"]
    assert read.all("html")[0]["lang"] == "en"


def test_what_is_said_is_shown_and_never_taken_for_markup(picture: Path) -> None:
    text = page(document(picture))

    assert "<title>A &amp; B</title>" in text
    assert "1 &lt; 2" in text
    assert "Figures &lt;of&gt; all" in text
    assert "mind &lt;this&gt;" in text
    assert "<td>0.912</td>" in text
    assert "<td>1,200</td>" in text


def test_a_short_page_has_no_table_of_contents() -> None:
    assert "<nav" not in page(Document("Short", (), (Section("One"), Section("Two"))))


@pytest.mark.parametrize(
    ("cell", "flush"),
    [
        ("0.912 (0.881 to 0.940)", True),
        ("–", True),
        ("-0.500 (-0.7 to +0.1)", True),
        ("a sentence", False),
        ("4 images", False),
    ],
)
def test_numbers_stand_flush_right_and_words_do_not(cell: str, flush: bool) -> None:
    text = page(Document("T", (Grid("G", ("a", "b"), (("x", cell),)),), ()))

    assert (f"<td>{cell}</td>" in text) is flush
