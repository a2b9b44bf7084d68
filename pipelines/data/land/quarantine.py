"""Where refused files are kept, each with its reason, for somebody to look at and mend.

    <dataset>/quarantine/<id>/reasons.csv       for a person: path, reason, message
    <dataset>/quarantine/<id>/refused-*.parquet  originals of those that are proven to be images

Only a file whose image could be decoded is copied (it has no label, or shows nothing). Anything
else may hold a patient's name, whatever it is called: DICOM that cannot be de-identified, an
archive, a text, a damaged file. It is listed, and stays where it landed. `medloop locate` finds
the file whose name was replaced.
"""

import io
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines import spreadsheet
from pipelines.data.land.originals import LandedFiles
from pipelines.data.packing import Original, deliver, pack
from pipelines.errors import BadImage, LandingError
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, fingerprint

logger = logging.getLogger(__name__)

REASONS = "reasons.csv"
COLUMNS = ("source_path", "reason", "message", "landing_label", "bytes", "sha256", "copied")


def keep(
    spec: DatasetSpec,
    context: Context,
    rows: list[dict[str, Any]],
    *,
    files: LandedFiles,
    work: Path,
) -> str | None:
    """Copy refused files into quarantine; see the module.

    Args:
        spec: the data set.
        context: settings and store.
        rows: the refused rows of ``files.parquet``.
        files: where their bytes are.
        work: an empty local folder to pack in.

    Returns:
        Store path of this quarantine; ``None`` if nothing was refused.
    """
    if not rows:
        return None
    identity = fingerprint([row | {"thumbnail": None} for row in rows])
    path = f"{spec.name}/quarantine/{identity}"
    if context.store.exists(f"{path}/{MANIFEST}"):
        return path
    copyable = [row for row in rows if row["thumbnail"]]  # it was decoded
    copied: set[str] = set()
    with context.store.commit(path) as staging:
        for packed in pack(_copies(copyable, files, copied), work, name="refused"):
            deliver(context.store, packed, f"{staging}/{packed.local.name}")
        context.store.write(f"{staging}/{REASONS}", _reasons(rows, copied))
        counts = Counter(row["reason"] for row in rows)
        manifest = {
            "dataset": spec.name,
            "files": len(rows),
            "reasons": dict(sorted(counts.items())),
        }
        context.store.write_json(f"{staging}/{MANIFEST}", manifest)
    return path


def _copies(rows: list[dict[str, Any]], files: LandedFiles, copied: set[str]) -> Iterator[Original]:
    for row in rows:
        try:
            content = files.read(row)
        except (BadImage, LandingError) as error:
            # It was replaced or deleted since it was landed, which must not stop the others.
            logger.warning("%s is not copied to quarantine: %s", row["source_path"], error)
            continue
        copied.add(row["source_path"])
        yield Original(
            sha256=row["sha256"],
            source_path=row["source_path"],
            label=row["label"],
            format=row["format"],
            content=content,
        )


def _reasons(rows: list[dict[str, Any]], copied: set[str]) -> bytes:
    text = io.StringIO()
    listed = (row | {"copied": row["source_path"] in copied} for row in rows)
    spreadsheet.write_csv(text, COLUMNS, listed)
    return text.getvalue().encode()
