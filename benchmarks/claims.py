"""What a run is to prove, beside what was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Claim:
    """One thing that must hold."""

    what: str
    expected: str
    found: str
    holds: bool


def show(claims: Sequence[Claim], *, title: str) -> int:
    """Print claims as a table; the exit status: 0 if all hold."""
    table = Table("claim", "expected", "found", "", title=title)
    for claim in claims:
        table.add_row(claim.what, claim.expected, claim.found, "yes" if claim.holds else "NO")
    Console().print(table)
    return 0 if claims and all(claim.holds for claim in claims) else 1
