import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.data import packing
from pipelines.data.packing import Original, contents, deliver, pack
from pipelines.errors import StoreUnavailable
from pipelines.storage.local import LocalStore


def originals(count: int, size: int = 1000) -> list[Original]:
    noise = np.random.default_rng(0)
    data = [noise.bytes(size) for _ in range(count)]
    return [
        Original(hashlib.sha256(d).hexdigest(), f"a/{n}.png", "a", "PNG", d)
        for n, d in enumerate(data)
    ]


def test_a_pack_closes_when_it_is_full_and_nothing_is_lost(tmp_path: Path) -> None:
    given = originals(25)
    packs = list(pack(given, tmp_path, name="images", pack_bytes=10_000))
    assert [p.local.name for p in packs] == [f"images-0000{n}.parquet" for n in range(3)]
    assert [len(p.sha256s) for p in packs] == [10, 10, 5]
    back = [data for p in packs for _, data in contents(p.local, range(len(p.sha256s)))]
    assert back == [original.content for original in given]


def test_nothing_makes_no_pack(tmp_path: Path) -> None:
    assert list(pack([], tmp_path, name="images")) == []


def test_one_large_image_is_a_pack_too(tmp_path: Path) -> None:
    (only,) = pack(originals(1, size=50_000), tmp_path, name="images", pack_bytes=10_000)
    assert len(only.sha256s) == 1


def test_the_next_pack_is_made_only_when_it_is_asked_for(tmp_path: Path) -> None:
    packs = pack(originals(25), tmp_path, name="images", pack_bytes=10_000)
    next(packs).local.unlink()
    assert list(tmp_path.iterdir()) == []
    next(packs)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_originals_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (one,) = pack(originals(5), tmp_path, name="images")
    (two,) = pack(originals(5), tmp_path / "again", name="images")
    assert one.local.read_bytes() == two.local.read_bytes()
    assert one.sha256 == two.sha256 == hashlib.sha256(one.local.read_bytes()).hexdigest()
    assert one.bytes == one.local.stat().st_size


def test_one_image_is_read_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "ROW_GROUP_BYTES", 3000)
    given = originals(20)
    (made,) = pack(given, tmp_path, name="images")
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
    (made,) = pack(originals(5), tmp_path, name="images")
    data = made.local.read_bytes()
    deliver(local_store, made, "a/images.parquet")
    assert local_store.read("a/images.parquet") == data
    assert not list(tmp_path.glob("images*"))


class Forgetful(LocalStore):
    """A store that changes one byte of what it is given."""

    def upload(self, local: Path, path: str) -> None:
        data = bytearray(local.read_bytes())
        data[len(data) // 2] ^= 1
        self.write(path, bytes(data))


def test_a_pack_that_comes_back_altered_is_noticed(tmp_path: Path) -> None:
    (made,) = pack(originals(5), tmp_path, name="images")
    with pytest.raises(StoreUnavailable, match="read back with other bytes"):
        deliver(Forgetful(tmp_path / "store"), made, "a/images.parquet")
    assert not list(tmp_path.glob("images*"))


def test_an_image_that_is_not_what_was_landed_is_noticed(
    tmp_path: Path, local_store: LocalStore
) -> None:
    given = originals(5)
    given[3] = Original(given[3].sha256, "a/3.png", "a", "PNG", b"something else")
    (made,) = pack(given, tmp_path, name="images")
    with pytest.raises(StoreUnavailable, match=r"Row 3 of images-00000\.parquet"):
        deliver(local_store, made, "a/images.parquet")


def test_a_pack_says_what_is_in_it(tmp_path: Path) -> None:
    (made,) = pack(originals(2), tmp_path, name="images")
    table = pq.read_table(io.BytesIO(made.local.read_bytes()))
    assert table.column_names == ["sha256", "source_path", "label", "format", "content"]
    assert table["source_path"].to_pylist() == ["a/0.png", "a/1.png"]
