"""A page as one HTML file with everything inside: to read, to print, to pass on."""

import base64
import re
from html import escape
from itertools import count

from pipelines.documents.document import (
    Block,
    Cell,
    Document,
    Grid,
    Picture,
    Points,
    Section,
    Text,
    Warnings,
    shown,
)

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #526073; --line: #dbe1e8; --paper: #fff;
        --shade: #f4f6f9; --alarm: #8a3b00; --alarm-paper: #fff4e5; --link: #0b5cad }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5ec; --soft: #9fadbf; --line: #2d3744;
        --paper: #12161c; --shade: #1a2029; --alarm: #ffb877; --alarm-paper: #2b2014;
        --link: #7db8f5 } }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .75rem }
h2 { font-size: 1.3rem; margin: 3rem 0 .75rem; padding-top: .6rem;
     border-top: 2px solid var(--line) }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .5rem }
p, ul { max-width: 46rem } a { color: var(--link) }
nav { background: var(--shade); border-radius: .5rem; padding: .8rem 1.2rem; margin: 1.5rem 0 }
nav ul { columns: 2 18rem; list-style: none; margin: 0; padding: 0; max-width: none }
.warnings { background: var(--alarm-paper); border-left: .3rem solid var(--alarm);
            border-radius: .3rem; padding: .7rem 1rem; margin: 1rem 0; max-width: 50rem }
.warnings ul { margin: .3rem 0 0; padding-left: 1.2rem } .warnings strong { color: var(--alarm) }
.wide { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem }
th, td { text-align: right; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; white-space: nowrap }
thead th { color: var(--soft); font-weight: 600 }
tbody th { font-weight: 400; text-align: left } th:first-child { text-align: left }
td.words, tbody th { white-space: normal; overflow-wrap: break-word; min-width: 6rem;
                     max-width: 28rem }
td.words { text-align: left }
figure { margin: 1.2rem 0 }
figure img { max-width: 100%; max-height: 27rem; background: #fff; border-radius: .3rem }
figcaption { color: var(--soft); font-size: .88rem; max-width: 46rem; margin-top: .3rem }
footer { margin-top: 3.5rem; padding-top: .8rem; border-top: 1px solid var(--line);
         color: var(--soft); font-size: .85rem; overflow-wrap: anywhere }
@media print { body { font-size: 10.5pt; max-width: none; padding: 0 } nav { display: none }
  h2 { break-after: avoid } figure, .warnings, tr { break-inside: avoid }
  .wide { overflow: visible } }
"""
NUMBER = re.compile(r"^[–+-]?[\d.,]*( \([^a-z]*( to [^a-z]*)?\))?( %)?$")
"""What is set flush right."""
CONTENTS_FROM = 4
"""Sections from which on a table of contents helps."""


def page(document: Document) -> str:
    """The whole file.

    Raises:
        OSError: a picture cannot be read.
    """
    numbers = count(1)
    body = "".join(_section(section, 2, numbers) for section in document.sections)
    lead = "".join(_block(block) for block in document.lead)
    foot = f"<footer>{escape(document.foot)}</footer>" if document.foot else ""
    title = escape(document.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}'
        f"</title><style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>{lead}"
        f"{_contents(document.sections)}{body}</main>{foot}</body></html>\n"
    )


def _contents(sections: tuple[Section, ...]) -> str:
    if len(sections) < CONTENTS_FROM:
        return ""
    links = "".join(f'<li><a href="#{_id(s)}">{escape(s.title)}</a></li>' for s in sections)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _id(section: Section) -> str:
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")


def _section(section: Section, level: int, numbers: "count[int]") -> str:
    name = f"section-{next(numbers)}"
    head = f'<h{level} id="{name}">{escape(section.title)}</h{level}>'
    blocks = "\n".join(_block(block) for block in section.blocks)
    inner = "".join(_section(part, level + 1, numbers) for part in section.sections)
    return f'<section id="{_id(section)}" aria-labelledby="{name}">{head}{blocks}{inner}</section>'


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Points(items):
            return f"<ul>{_items(items)}</ul>"
        case Warnings(items):
            return (
                '<div class="warnings" role="note"><strong>To know before trusting it</strong>'
                f"<ul>{_items(items)}</ul></div>"
            )
        case Grid():
            return _table(block)
        case Picture():
            return _figure(block)


def _items(items: tuple[str, ...]) -> str:
    return "".join(f"<li>{escape(item)}</li>" for item in items)


def _table(grid: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.columns)
    rows = "".join(_row(row) for row in grid.rows)
    caption = escape(grid.title)
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</div>"
    )


def _row(row: tuple[Cell, ...]) -> str:
    first, *others = (escape(shown(cell)) for cell in row)
    cells = (f"<td>{c}</td>" if NUMBER.match(c) else f'<td class="words">{c}</td>' for c in others)
    return f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>'


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.file.read_bytes()).decode()
    kind = picture.file.suffix.removeprefix(".")
    caption = escape(picture.caption)
    return (
        f'<figure><img src="data:image/{kind};base64,{data}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
