"""Where refused files are kept, each with its reason, for somebody to look at and mend.

    <dataset>/quarantine/<id>/reasons.csv       for a person: path, reason, message
    <dataset>/quarantine/<id>/refused-*.parquet  the files, byte for byte

A file that may name a patient and could not be de-identified is listed, but not copied; neither
is one that is larger than the spec's limit. Both stay where they landed.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.data.examine import limits_of
from pipelines.data.originals import LandedFiles
from pipelines.data.packing import Original, deliver, pack
from pipelines.errors import BadImage
from pipelines.spec import DatasetSpec
from pipelines.stage import MANIFEST, Context, fingerprint

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
    limit = limits_of(spec.limits).max_bytes
    copyable = [row for row in rows if row["sha256"] and row["bytes"] <= limit]
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
        except BadImage:  # may name a patient, and cannot be de-identified
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
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"copied": row["source_path"] in copied} for row in rows)
    return text.getvalue().encode()
