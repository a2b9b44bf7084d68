"""Read the tensors of a PyTorch checkpoint without PyTorch, and without trusting it.

A pickle may name any function to be called while it is read. The unpickler here knows the three
things a state dict is made of and refuses every other name, so reading a file cannot run code.

The legacy format (``torch.save`` before 1.6) is a row of pickles: a magic number, a protocol
number, facts about the writing machine, the state dict with its storages left as references,
the order of the storages; then each storage's length and raw bytes.
"""

import math
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import WeightsError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"} | {
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


class _Storage(NamedTuple):
    """A reference to a run of numbers that stands behind the pickles."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a state dict that PyTorch saved in its legacy format.

    Args:
        path: the ``.pth`` file.

    Returns:
        name → array, in the file's order, with PyTorch's axes (a convolution's kernel is
        (out, in, height, width)). Each array is contiguous and its own copy.

    Raises:
        WeightsError: the file is missing, cut short, in another format, or names anything
            besides tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except FileNotFoundError as error:
        raise WeightsError(f"There is no weights file {path}.") from error
    except WeightsError:
        raise
    except Exception as error:  # a malformed pickle can fail in any way
        raise WeightsError(
            f"{path} is no readable PyTorch state dict ({type(error).__name__}: {error}); "
            "expected the legacy format of torch.save. Get the file anew."
        ) from error


def _read(file: BinaryIO, path: Path) -> dict[str, NDArray[Any]]:
    if file.read(2) == b"PK":
        raise WeightsError(
            f"{path} is in PyTorch's zip format; expected the legacy one "
            "(torch.save(..., _use_new_zipfile_serialization=False))."
        )
    file.seek(0)
    if (_Plain(file).load(), _Plain(file).load()) != (MAGIC, PROTOCOL):
        raise WeightsError(f"{path} does not begin as a PyTorch checkpoint does.")
    if not _Plain(file).load()["little_endian"]:
        raise WeightsError(f"{path} was written on a big-endian machine, which is not supported.")
    state = _StateDict(file).load()
    keys = _Plain(file).load()
    storages = _read_storages(file, keys, state)
    return {name: _materialise(tensor, storages) for name, tensor in state.items()}


class _Plain(pickle.Unpickler):
    """Numbers, strings and their containers; no names at all."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise WeightsError(f"The weights file asks for {module}.{name}, which is refused.")


class _StateDict(pickle.Unpickler):
    """An ordered dictionary of tensors, as descriptions; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe_tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise WeightsError(f"The weights file asks for {module}.{name}, which is refused.")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, length, view = pid
        if kind != "storage" or view is not None:
            raise WeightsError(f"The weights file refers to {kind!r}; expected a whole 'storage'.")
        return _Storage(dtype=dtype, key=key, length=length)


def _describe_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_gradient_and_hooks: Any,
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _read_storages(
    file: BinaryIO, keys: list[str], state: dict[str, _Tensor]
) -> dict[str, NDArray[Any]]:
    described = {tensor.storage.key: tensor.storage for tensor in state.values()}
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = described[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != storage.length:
            raise WeightsError(f"Storage {key} holds {length} numbers, not {storage.length}.")
        dtype = np.dtype(storage.dtype)
        content = file.read(length * dtype.itemsize)
        storages[key] = np.frombuffer(content, dtype=dtype, count=length)
    return storages


def _materialise(tensor: _Tensor, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The numbers a tensor shows; its strides need not be those of its shape."""
    storage = storages[tensor.storage.key]
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or (
        math.prod(tensor.shape) > 0 and last >= len(storage)
    ):
        raise WeightsError(f"A tensor of shape {tensor.shape} reaches beyond its storage.")
    view = np.lib.stride_tricks.as_strided(
        storage[tensor.offset :],
        shape=tensor.shape,
        strides=tuple(stride * storage.itemsize for stride in tensor.strides),
        writeable=False,
    )
    return view.copy()
