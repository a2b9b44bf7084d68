import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.data import packing
from pipelines.data.packing import Pack, Packed, Packer, contents, upload_pack
from pipelines.errors import StoreUnavailable
from pipelines.storage.local import LocalStore


def originals(count: int, size: int = 1000) -> list[Packed]:
    noise = np.random.default_rng(0)
    data = [noise.bytes(size) for _ in range(count)]
    return [Packed(hashlib.sha256(d).hexdigest(), "PNG", d) for d in data]


def packed(given: list[Packed], folder: Path) -> Pack:
    folder.mkdir(exist_ok=True)
    packer = Packer(folder / "pack.parquet")
    assert [packer.add(original) for original in given] == list(range(len(given)))
    assert packer.bytes == sum(len(original.content) for original in given)
    return packer.close()


def test_a_pack_holds_every_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "ROW_GROUP_BYTES", 3000)
    given = originals(25)
    made = packed(given, tmp_path)
    back = [data for _, data in contents(made.local, range(25))]
    assert back == [original.content for original in given]
    assert made.sha256s == [original.sha256 for original in given]


def test_the_same_originals_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = packed(originals(5), tmp_path), packed(originals(5), tmp_path / "again")
    assert one.local.read_bytes() == two.local.read_bytes()
    assert one.sha256 == two.sha256 == hashlib.sha256(one.local.read_bytes()).hexdigest()
    assert one.bytes == one.local.stat().st_size


def test_one_image_is_read_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "ROW_GROUP_BYTES", 3000)
    given = originals(20)
    made = packed(given, tmp_path)
    assert pq.ParquetFile(made.local).num_row_groups == 7
    read: list[int] = []
    whole = pq.ParquetFile.read_row_group

    def reading(file: pq.ParquetFile, number: int, **options: object) -> object:
        read.append(number)
        return whole(file, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", reading)
    assert list(contents(made.local, [10, 4])) == [(4, given[4].content), (10, given[10].content)]
    assert read == [1, 3]


def test_a_delivered_pack_stands_in_the_store_and_no_longer_here(
    tmp_path: Path, local_store: LocalStore
) -> None:
    made = packed(originals(5), tmp_path)
    data = made.local.read_bytes()
    path = upload_pack(local_store, made, "a/packs")
    assert path == f"a/packs/{made.sha256}/originals.parquet"
    assert local_store.read(path) == data
    assert not list(tmp_path.glob("pack*"))


def test_a_pack_that_a_killed_landing_has_left_is_not_uploaded_again(
    tmp_path: Path, local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = upload_pack(local_store, packed(originals(5), tmp_path), "a/packs")
    local_store.set_modified(path, 1000.0)
    monkeypatch.delattr(LocalStore, "upload")
    assert upload_pack(local_store, packed(originals(5), tmp_path), "a/packs") == path
    assert local_store.modified(path) > 1000, "prune takes it for new"


class Forgetful(LocalStore):
    """A store that changes one byte of what it is given."""

    def upload(self, local: Path, path: str) -> None:
        data = bytearray(local.read_bytes())
        data[len(data) // 2] ^= 1
        self.write(path, bytes(data))


def test_a_pack_that_comes_back_altered_is_noticed(tmp_path: Path) -> None:
    made = packed(originals(5), tmp_path)
    with pytest.raises(StoreUnavailable, match="read back with other bytes"):
        upload_pack(Forgetful(tmp_path / "store"), made, "a/packs")
    assert not list(tmp_path.glob("pack*"))
    assert LocalStore(tmp_path / "store").names("a/packs") == []


def test_an_image_that_is_not_what_was_landed_is_noticed(
    tmp_path: Path, local_store: LocalStore
) -> None:
    given = originals(5)
    given[3] = Packed(given[3].sha256, "PNG", b"something else")
    made = packed(given, tmp_path)
    with pytest.raises(StoreUnavailable, match=r"Row 3 of pack\.parquet"):
        upload_pack(local_store, made, "a/packs")


def test_a_pack_says_what_is_in_it(tmp_path: Path) -> None:
    made = packed(originals(2), tmp_path)
    table = pq.read_table(io.BytesIO(made.local.read_bytes()))
    assert table.column_names == ["sha256", "format", "content"]
    assert table["format"].to_pylist() == ["PNG", "PNG"]
