"""Rows of memory-mapped arrays, read in any order with constant memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

OPEN_FILES = 256
"""Most arrays that are mapped at a time; each uses a file descriptor."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """Rows that are spread over the arrays ``<folder>/<part>.npy``.

    Args:
        folder: folder of the arrays; all have rows of the same shape and type.
        parts: their names.
        part: (n,) the array of each row, an index into ``parts``.
        row: (n,) its row in that array.
    """

    folder: Path
    parts: tuple[str, ...]
    part: NDArray[np.int32]
    row: NDArray[np.int32]

    @classmethod
    def of(cls, folder: Path, table: pa.Table, row: str = "row") -> "Arrays":
        """The rows of a table that names ``part`` and, in the column ``row``, its row."""
        parts = table["part"].combine_chunks().dictionary_encode()
        names = tuple(parts.dictionary.to_pylist())
        return cls(folder, names, parts.indices.to_numpy(), table[row].to_numpy())

    def __len__(self) -> int:
        return len(self.row)

    @property
    def files(self) -> list[Path]:
        """The arrays that have at least one of the rows."""
        return [array_file(self.folder, self.parts[part]) for part in np.unique(self.part)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return tuple(self._first.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._first.dtype

    @property
    def _first(self) -> NDArray[Any]:
        return _opened(array_file(self.folder, self.parts[self.part[0]]))

    def chosen(self, positions: Sequence[int] | NDArray[Any]) -> "Arrays":
        """Some of the rows, in the order given."""
        at = np.asarray(positions, np.int64)
        return Arrays(self.folder, self.parts, self.part[at], self.row[at])

    def take(self, positions: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """Rows as one array (positions, …), in the order given."""
        chosen = self.chosen(positions)
        found = np.empty((len(chosen), *self.shape), self.dtype)
        for part in np.unique(chosen.part):
            here = chosen.part == part
            found[here] = _opened(array_file(self.folder, self.parts[part]))[chosen.row[here]]
        return found


def array_file(folder: Path, part: str) -> Path:
    """The array of a part."""
    return folder / f"{part}.npy"


@lru_cache(maxsize=OPEN_FILES)
def _opened(file: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return found


def decode_column(column: Any, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A binary Arrow column, each value the bytes of one array, as (n, *shape).

    Raises:
        ValueError: the values are not of this size.
    """
    joined = b"".join(value.as_buffer() for value in column)
    return np.frombuffer(joined, dtype).reshape(len(column), *shape)
