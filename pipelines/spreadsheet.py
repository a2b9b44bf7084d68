"""CSV files that a person opens in a spreadsheet, with text from outside in them.

A spreadsheet runs a cell that begins like a formula, also one that is a file name or a label. Such
a cell gets an apostrophe in front, which the spreadsheet shows as text; `original` takes it off
where a file of ours is read again. Numbers stay numbers.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

_LIKE_A_FORMULA = re.compile(r"'*[\s\ufeff\u200b]*[=+\-@|\uff1d\uff0b\uff0d\uff20]|'*[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def safe(value: Any) -> Any:
    """A cell that no spreadsheet runs; NaN is an empty cell, other numbers stay as they are."""
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str) and _LIKE_A_FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def original(cell: str) -> str:
    """The text that `safe` made a cell of."""
    return cell[1:] if cell.startswith("'") and _LIKE_A_FORMULA.match(cell) else cell


def write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[Any, Any]]) -> None:
    """Write a header and rows; fields that are not among the columns are left out.

    Args:
        file: opened with ``newline=""``.
        columns: their names, in order.
        rows: column → value.
    """
    writer = csv.writer(file)  # RFC 4180: lines end with CR LF
    writer.writerow([safe(column) for column in columns])
    writer.writerows([safe(row.get(column)) for column in columns] for row in rows)


def without_rows(text: str, unwanted: Callable[[list[str]], bool]) -> tuple[str, int]:
    """A CSV file of ours without some rows, and how many went; cells stay as they are.

    Args:
        text: of the file.
        unwanted: told the cells of a row.
    """
    rows = list(csv.reader(io.StringIO(text, newline="")))
    kept = [row for row in rows if not unwanted(row)]
    file = io.StringIO(newline="")
    csv.writer(file).writerows(kept)
    return file.getvalue(), len(rows) - len(kept)
