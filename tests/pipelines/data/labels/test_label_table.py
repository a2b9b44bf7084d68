from pathlib import Path

import pytest

from pipelines.data.folders import LocalFolder
from pipelines.data.labels.table_layout import LabelRow, read_label_table
from pipelines.errors import LandingError
from pipelines.spec import TableSpec

TABLE = TableSpec(file="labels.csv", image="{id}.png", label="dx", group="lesion")


def promises(folder: Path) -> list[LabelRow]:
    return read_label_table(TABLE, LocalFolder(folder), "labels.csv")


def test_a_table_from_a_spreadsheet_is_read_with_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("\ufeffid,dx,lesion\n1, cat ,L1\n", encoding="utf-8")
    promise = promises(tmp_path)[0]
    assert (promise.label, promise.group, promise.line) == ("cat", "L1", 2)


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,diagnosis\n1,cat\n")
    with pytest.raises(LandingError, match=r"no column 'dx', 'lesion'.*'id', 'diagnosis'"):
        promises(tmp_path)


@pytest.mark.parametrize("content", [b"id,dx,lesion\n1,\xff\xfe,3\n", b'id,dx,lesion\n"1,cat\n'])
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(LandingError, match="is not a CSV file in UTF-8"):
        promises(tmp_path)


def test_a_short_row_has_empty_cells(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,dx,lesion\n1,cat\n")
    assert promises(tmp_path)[0].group is None


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").symlink_to(tmp_path / "labels.csv")
    with pytest.raises(LandingError, match=r"labels\.csv, the label table, cannot be read"):
        promises(tmp_path)
