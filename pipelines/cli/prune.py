"""``medloop prune``: remove what nobody needs any more."""

import time
from collections import Counter
from typing import Annotated

import typer

from pipelines.cli.console import console, done, table
from pipelines.retention_settings import BY_HAND
from pipelines.settings import get_settings

app = typer.Typer()


@app.command()
def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would go, and why the rest stays.")
    ] = False,
) -> None:
    """Remove old prepared images, caches, scores, logs … that no version in use needs.

    Each kind has a number of days (`MEDLOOP_KEEP_…`, 0 keeps it for ever). The champion, the one
    before it, and versions that their model cards name or that wait for a decision keep all they
    need. Originals, snapshots, splits, labels, MLflow and backups are never touched.
    """
    from pipelines.retention import prune as retention
    from pipelines.retention.item import DAY, KINDS
    from pipelines.stage import default_context

    with console.status("Looking at what is kept …"):
        pruned, fates = retention.run(default_context(), dry_run=dry_run)
    if dry_run:
        gone = table("What would go", "what", "unused for", "size")
        for fate in (fate for fate in fates if fate.goes):
            days = (time.time() - fate.item.used) / DAY
            age = f"{days:,.0f} days" if fate.item.used else "abandoned"
            gone.add_row(fate.item.path, age, _size(fate.bytes))
        stays = table("\nWhat stays whatever its age", "what", "why")
        for fate in (fate for fate in fates if fate.item.pin is not None):
            stays.add_row(fate.item.path, str(fate.item.pin))
        console.print(gone, stays, sep="\n")
    columns = ("kind", "kept for", "would go" if dry_run else "removed", "size", "pinned", "recent")
    rows = table("\nBy kind" if dry_run else "Removed", *columns)
    for total in pruned.totals:
        days_kept = f"{total.days} days" if total.days else "ever"
        counts = (f"{total.pinned:,}", f"{total.recent:,}")
        size = _size(total.bytes)
        rows.add_row(KINDS[total.kind], days_kept, f"{total.removed:,}", size, *counts)
    console.print(rows)
    for note in pruned.notes:
        console.print(f"  {note}", soft_wrap=True)
    sums = Counter({"n": 0, "bytes": 0})
    for total in pruned.totals:
        sums.update({"n": total.removed, "bytes": total.bytes})
    if dry_run:
        console.print(f"  Would free {_size(sums['bytes'])}. Now: medloop prune", soft_wrap=True)
        return
    done(f"{sums['n']:,} folders and files removed, {_size(sums['bytes'])} freed")
    if get_settings().prune_schedule == BY_HAND:
        console.print("  Airflow prunes nothing by itself: MEDLOOP_PRUNE_SCHEDULE=none")


def _size(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
