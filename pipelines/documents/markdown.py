"""A page as Markdown, for terminals and for MLflow's pages."""

from pipelines.documents.document import (
    Block,
    Document,
    Grid,
    Picture,
    Points,
    Section,
    Text,
    Warnings,
    shown,
)


def text(document: Document) -> str:
    """The whole page; a picture is its caption and the name of its file."""
    parts = [f"# {document.title}", *map(_block, document.lead)]
    for section in document.sections:
        parts += _section(section, "##")
    if document.foot:
        parts += ["---", document.foot]
    return "\n\n".join(parts) + "\n"


def table(grid: Grid) -> str:
    """A table; its title stands above in bold."""
    cells = [tuple(_cell(shown(cell)) for cell in row) for row in grid.rows]
    lines = [grid.columns, ("---", *("---:" for _ in grid.columns[1:])), *cells]
    return "\n".join([f"**{grid.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _section(section: Section, mark: str) -> list[str]:
    parts = [f"{mark} {section.title}", *map(_block, section.blocks)]
    for part in section.sections:
        parts += _section(part, f"{mark}#")
    return parts


def _block(block: Block) -> str:
    match block:
        case Text(words):
            return words
        case Points(items):
            return "\n".join(f"- {item}" for item in items)
        case Warnings(items):
            return "\n".join(f"> - **{item}**" for item in items)
        case Grid():
            return table(block)
        case Picture(file, caption):
            return f"*{caption}* (`figures/{file.name}`)"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
