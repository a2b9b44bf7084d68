"""``medloop backup`` and ``medloop restore-backup``: what is lost can be restored."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import console, done, errors, table
from pipelines.settings import get_settings

app = typer.Typer(
    help="""Copies of this installation's state, taken while it runs.

    A backup holds secrets and what is derived from patients' images: guard it as you guard both.
    """,
)
restore_app = typer.Typer()

Backup = Annotated[Path, typer.Argument(help="The folder of a backup.", file_okay=False)]


@app.callback(invoke_without_command=True)
def take(
    context: typer.Context,
    to: Annotated[
        Path | None, typer.Option(help="The folder it goes to; MEDLOOP_BACKUP_FOLDER if left out.")
    ] = None,
    with_snapshots: Annotated[
        bool,
        typer.Option("--with-snapshots", help="Take images along, originals and prepared ones."),
    ] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, help="How many stay; MEDLOOP_BACKUP_KEEP if left out.")
    ] = None,
) -> None:
    """Take a backup: databases, artifacts, bundles, keys, records of the store."""
    if context.invoked_subcommand:
        return
    from pipelines import loop
    from pipelines.backup.manifest import read_manifest

    folder = Path(loop.backup(to=to, pictures=with_snapshots, keep=keep))
    manifest = read_manifest(folder)
    done(f"{folder}: {len(manifest.files):,} files, {_size(manifest.bytes)}")
    if not manifest.databases:
        errors.print("! No database is in it: this installation's are elsewhere. Dump them there.")
    if manifest.partial:
        console.print(
            f"  Without their pictures: {len(manifest.partial)} of the store's folders "
            "(--with-snapshots takes them along).",
            soft_wrap=True,
        )


@app.command()
def verify(backup: Backup) -> None:
    """Check every file of a backup against what was written."""
    from pipelines.backup import manifest

    found = manifest.verify(backup)
    done(f"{backup}: whole, {len(found.files):,} files, {_size(found.bytes)}")


@app.command("list")
def show() -> None:
    """List the backups in the backup folder."""
    from pipelines.backup.ownership import backups_in, known_installation

    place = get_settings().backups
    ours = known_installation(get_settings())
    columns = ("name", "taken (UTC)", "size", "images", "release", "ours")
    rows = table(f"Backups in {place}", *columns)
    for folder, found in backups_in(place):
        pictures = "yes" if found.pictures else "no"
        taken = f"{found.created_at:%Y-%m-%d %H:%M}"
        of = "yes" if ours and found.installation == ours else "no"
        rows.add_row(folder.name, taken, _size(found.bytes), pictures, found.medloop, of)
    console.print(rows if rows.row_count else f"No backups yet in {place}: medloop backup")


@restore_app.command("restore-backup")
def restore_backup(
    backup: Backup,
    force: Annotated[
        bool, typer.Option("--force", help="Move a home that has state aside, and say where.")
    ] = False,
) -> None:
    """Bring this installation back from a backup; nothing changes unless all of it is whole."""
    from stack import recovery

    settings = get_settings()
    if not force:
        recovery.require_empty(settings)
    restored = recovery.restore(settings, backup.absolute())
    done(f"{settings.home} is as it was on {restored.manifest.created_at:%Y-%m-%d %H:%M} UTC")
    if restored.aside:
        console.print(f"  What stood there before: {restored.aside}", soft_wrap=True)
    if restored.lacking:
        console.print(
            f"  Without images, so not there: {len(restored.lacking)} of the store's folders. Land "
            "the same images again, in the same order: they get the same names.",
            soft_wrap=True,
        )
    for name in restored.differing:
        errors.print(f"! {settings.datasets / name} differs from the backup's, and was left alone")
    if not restored.running:
        contained = settings.database_host is not None
        console.print(f"  Now: {'docker compose up --detach' if contained else 'medloop stack up'}")


def _size(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
