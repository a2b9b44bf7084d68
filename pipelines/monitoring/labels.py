"""What pictures truly showed, once somebody knows: given by hand, or landed with the picture.

    <dataset>/monitoring/labels/<time>-<8 hex digits>.parquet    one file a `medloop label`

An answer is named by its ``request_id`` or by the ``sha256`` of the picture; the images of one
batch share a ``request_id``, so those need the ``sha256``.
"""

import csv
import io
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LabelError
from pipelines.spec import DatasetSpec
from pipelines.spelling import nfc
from pipelines.storage import Store

LABELS = pa.schema([("request_id", pa.string()), ("sha256", pa.string()), ("label", pa.string())])
EXPECTED = "a first line that names the columns: label, and request_id or sha256 (or both)"


@dataclass(frozen=True)
class Truth:
    """The true classes that are known."""

    by_request: Mapping[str, str] = field(default_factory=dict)
    """Given by hand."""
    by_sha256: Mapping[str, str] = field(default_factory=dict)
    """The same."""
    landed: Mapping[str, str] = field(default_factory=dict)
    """sha256 → class of images that landed with one; what was given by hand comes before it."""

    def of(self, answers: pa.Table) -> list[str | None]:
        """The true class of each answer; ``None`` where it is not known."""
        requests = answers["request_id"].to_pylist()
        shared = {request for request, times in Counter(requests).items() if times > 1}
        return [
            self.by_sha256.get(sha256)
            or (None if request in shared else self.by_request.get(request))
            or self.landed.get(sha256)
            for request, sha256 in zip(requests, answers["sha256"].to_pylist(), strict=True)
        ]


def note_labels(store: Store, spec: DatasetSpec, file: Path) -> int:
    """Keep the labels of a CSV file; a later file's word counts.

    Args:
        store: where to.
        spec: the data set; its class names, or the names they land under, are taken.
        file: CSV with a header: ``label``, and ``request_id`` or ``sha256``.

    Returns:
        How many there were.

    Raises:
        LabelError: the file cannot be read, or one of its lines cannot be used; nothing is kept.
        Unavailable: the store does not answer; nothing is kept.
    """
    rows = _rows(spec, file)
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=LABELS), buffer, compression="zstd")
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d%H%M%S%f}-{secrets.token_hex(4)}.parquet"
    store.place(f"{_folder(spec.name)}/{name}", buffer.getvalue())
    return len(rows)


def label_files(store: Store, dataset: str) -> list[str]:
    """Names of the files of labels that were given, the oldest first."""
    return store.names(_folder(dataset))


def read_truth(store: Store, dataset: str, *, landed: Mapping[str, str]) -> Truth:
    """All labels that are known.

    Args:
        store: where they are.
        dataset: whose they are.
        landed: see `Truth`.
    """
    by_request: dict[str, str] = {}
    by_sha256: dict[str, str] = {}
    for name in label_files(store, dataset):
        table = pq.read_table(io.BytesIO(store.read(f"{_folder(dataset)}/{name}")))
        for row in table.to_pylist():
            if row["request_id"]:
                by_request[row["request_id"]] = row["label"]
            if row["sha256"]:
                by_sha256[row["sha256"]] = row["label"]
    return Truth(by_request, by_sha256, landed)


def _rows(spec: DatasetSpec, file: Path) -> list[dict[str, str | None]]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{file} cannot be read as text: {error}.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        names = set(reader.fieldnames or ())
        if "label" not in names or not names & {"request_id", "sha256"}:
            raise LabelError(f"{file} has the columns {sorted(names)}; expected {EXPECTED}.")
        rows = [_row(spec, row, where=f"{file}, line {reader.line_num}") for row in reader]
    except csv.Error as error:
        raise LabelError(
            f"{file}, line {reader.line_num}, is not CSV: {error}. Nothing was kept; correct the "
            "line."
        ) from error
    if not rows:
        raise LabelError(f"{file} holds no labels; expected a line for each below the header.")
    return rows


def _row(spec: DatasetSpec, row: Mapping[str, str | None], *, where: str) -> dict[str, str | None]:
    said = {name: (row.get(name) or "").strip() or None for name in LABELS.names}
    label = nfc(said["label"] or "")
    known = {**spec.class_of_label, **{name: name for name in spec.class_names}}
    if label not in known:
        raise LabelError(
            f"{where}: {label!r} is no class of {spec.name}; its classes are "
            f"{', '.join(spec.class_names)}."
        )
    if not (said["request_id"] or said["sha256"]):
        raise LabelError(f"{where} names no answer: give its request_id or its sha256.")
    sha256 = said["sha256"].lower() if said["sha256"] else None
    return {"request_id": said["request_id"], "sha256": sha256, "label": known[label]}


def _folder(dataset: str) -> str:
    return f"{dataset}/monitoring/labels"
