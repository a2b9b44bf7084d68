"""Scores as a person wants them: a CSV for a spreadsheet, overlays as picture files."""

import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

from pipelines import spreadsheet
from pipelines.atomic import written_whole
from pipelines.outputs import Scores
from pipelines.scoring.answers import Row
from pipelines.scoring.subjects import of_folder
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context

ROWS_AT_ONCE = 256
DRAWN_FOR_PROGRAMS = "overlay"
JOINED = ("abstained_because", "review_because")


def write_csv(context: Context, scores: Scores, target: Path, *, files: dict[str, str]) -> None:
    """Write all rows but their overlays as CSV; the file appears whole or not at all.

    Args:
        context: settings and store.
        scores: what to write.
        target: the file.
        files: see `names_of_files`.

    Columns are those of the scores, with ``file`` before them; reasons are told by their codes,
    joined by ``;``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    flat = (
        {"file": files.get(row["source_path"], row["source_path"])} | _flat(row)
        for row in rows(context, scores, without=DRAWN_FOR_PROGRAMS)
    )
    with written_whole(target) as part, part.open("w", newline="", encoding="utf-8") as file:
        if (first := next(flat, None)) is not None:
            spreadsheet.write_csv(file, list(first), chain([first], flat))


def names_of_files(spec: DatasetSpec, context: Context, scores: Scores) -> dict[str, str]:
    """Pseudonym → the file it stands for, where a folder was scored: only this machine can tell.

    Raises:
        LandingError: the folder is gone.
    """
    if scores.source is None:
        return {}
    files = of_folder(spec, context, scores.source).rows
    return {row["pseudonym"]: row["source_path"] for row in files}


def write_overlays(context: Context, scores: Scores, folder: Path) -> int:
    """Write each overlay below a folder, as ``<source path>.png``.

    Returns:
        How many were written; none where the scores were made without overlays.
    """
    count = 0
    for row in rows(context, scores):
        if row[DRAWN_FOR_PROGRAMS] is None:
            continue
        path = folder / inside(row["source_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row[DRAWN_FOR_PROGRAMS])
        count += 1
    return count


def rows(context: Context, scores: Scores, *, without: str | None = None) -> Iterator[Row]:
    """The rows of scores, a few in memory at a time, without the column that is not wanted."""
    import pyarrow.parquet as pq

    for name in context.store.names(scores.path):
        if name == MANIFEST:
            continue
        with tempfile.TemporaryDirectory(prefix="medloop-scores-") as folder:
            local = Path(folder) / name
            context.store.download(f"{scores.path}/{name}", local)
            file = pq.ParquetFile(local)
            wanted = [column for column in file.schema_arrow.names if column != without]
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
                yield from batch.to_pylist()


def _flat(row: Row) -> Row:
    codes = {name: ";".join(reason["code"] for reason in row[name] or ()) for name in JOINED}
    return row | codes


def inside(source_path: str) -> str:
    """The name of an image's overlay: below the folder, whatever the image is called."""
    parts = [part for part in PurePosixPath(source_path).parts if part not in ("/", "..")]
    return "/".join(parts) + ".png"
