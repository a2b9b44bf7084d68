"""Checkpoints are read without PyTorch, and cannot run code."""

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import WeightsError
from pipelines.models.torch_file import MAGIC, PROTOCOL, read_state_dict


class Dangerous:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return (os.system, ("touch /tmp/medloop-was-here",))


def _begin() -> io.BytesIO:
    file = io.BytesIO()
    for value in (MAGIC, PROTOCOL, {"little_endian": True}):
        pickle.dump(value, file, protocol=2)
    return file


def _numbers(values: tuple[int, ...]) -> bytes:
    """A tuple of small numbers, as a pickle spells it."""
    return b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"t"


def _checkpoint(path: Path, *, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """A hand-assembled checkpoint with one tensor ``w`` over the numbers 0 to 5."""
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06NtQ"
    )
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\x00"
        + _numbers(shape)
        + _numbers(strides)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )
    state = b"\x80\x02ccollections\nOrderedDict\n)RX\x01\x00\x00\x00w" + tensor + b"s."
    file = _begin()
    file.write(state)
    pickle.dump(["0"], file, protocol=2)
    file.write(struct.pack("<q", 6) + np.arange(6, dtype="<f4").tobytes())
    path.write_bytes(file.getvalue())


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((2, 3), (3, 1), [[0, 1, 2], [3, 4, 5]]),
        ((2, 3), (1, 2), [[0, 2, 4], [1, 3, 5]]),
        ((3,), (2,), [0, 2, 4]),
    ],
)
def test_a_tensor_is_read_by_its_strides(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], expected: list[Any]
) -> None:
    _checkpoint(tmp_path / "w.pth", shape=shape, strides=strides)

    np.testing.assert_array_equal(read_state_dict(tmp_path / "w.pth")["w"], expected)


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    _checkpoint(tmp_path / "w.pth", shape=(4, 3), strides=(3, 1))

    with pytest.raises(WeightsError, match="beyond its storage"):
        read_state_dict(tmp_path / "w.pth")


def test_a_file_that_names_a_function_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    marker = Path("/tmp/medloop-was-here")
    marker.unlink(missing_ok=True)
    file = _begin()
    pickle.dump(OrderedDict(w=Dangerous()), file, protocol=2)
    (tmp_path / "bad.pth").write_bytes(file.getvalue())

    with pytest.raises(WeightsError, match="refused"):
        read_state_dict(tmp_path / "bad.pth")
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04zip", b"not a pickle", b"\x80\x02K\x01."])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.pth").write_bytes(content)

    with pytest.raises(WeightsError, match=r"odd\.pth"):
        read_state_dict(tmp_path / "odd.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file .*none\.pth"):
        read_state_dict(tmp_path / "none.pth")
