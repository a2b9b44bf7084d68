"""A page: sections of paragraphs, lists, tables and pictures, however they are drawn."""

from dataclasses import dataclass
from pathlib import Path

Cell = str | int | float | None
"""A number is shown with three digits; ``None`` as a dash."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Warnings:
    """A list of what somebody has to know; drawn so that it is seen."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table; the first cell of a row says what the row is about."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A file, ``.png`` or ``.jpeg``."""

    file: Path
    caption: str


Block = Text | Points | Warnings | Grid | Picture


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple["Section", ...] = ()


@dataclass(frozen=True)
class Document:
    """A page."""

    title: str
    lead: tuple[Block, ...]
    """What stands before the first section."""
    sections: tuple[Section, ...]
    foot: str = ""


def shown(cell: Cell) -> str:
    """A cell as text."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
