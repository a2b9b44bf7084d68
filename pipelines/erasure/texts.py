"""Texts without some images: JSON and CSV lose the elements and lines that name one.

A log is changed in place and keeps its length, since a process may be writing to it.
"""

import json
import logging
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.erasure.traces import Traces
from pipelines.spreadsheet import without_rows

logger = logging.getLogger(__name__)

Without = Callable[[bytes, Traces], tuple[bytes, int]]
"""Takes a file's content; returns it without the images, and how much went."""
GONE = object()
"""In the place of a value that named an image."""


def json_without(content: bytes, traces: Traces) -> tuple[bytes, int]:
    """A JSON document without what names an image, and how many elements went.

    Of a list, the element goes; of an object, the value becomes null, or goes with its key where
    the key names the image.
    """
    found = json.loads(content)
    gone = [0]
    left = _without(found, traces, gone)
    text = json.dumps(None if left is GONE else left, indent=2, ensure_ascii=False)
    return text.encode() + b"\n", gone[0]


def _without(value: Any, traces: Traces, gone: list[int]) -> Any:
    if isinstance(value, str):
        return GONE if traces.is_in(value) else value
    if isinstance(value, list):
        return [one for one in (_element(one, traces, gone) for one in value) if one is not GONE]
    if isinstance(value, dict):
        named = {key: one for key, one in value.items() if not traces.is_in(key)}
        gone[0] += len(value) - len(named)
        left = {key: _without(one, traces, gone) for key, one in named.items()}
        gone[0] += sum(one is GONE for one in left.values())
        return {key: None if one is GONE else one for key, one in left.items()}
    return value


def _element(value: Any, traces: Traces, gone: list[int]) -> Any:
    """An element of a list: it goes whole where a text of its own names an image."""
    texts = value.values() if isinstance(value, dict) else [value]
    if any(isinstance(text, str) and traces.is_in(text) for text in texts):
        gone[0] += 1
        return GONE
    return _without(value, traces, gone)


def csv_without(content: bytes, traces: Traces) -> tuple[bytes, int]:
    """A CSV file without the lines that name an image, and how many went."""
    text, gone = without_rows(content.decode(), lambda row: any(map(traces.is_in, row)))
    return text.encode(), gone


def found_in(path: Path, traces: Traces) -> int:
    """How often a file of this machine names an image; 0 if it is gone."""
    try:
        with path.open("rb") as file, _mapped(file, mmap.ACCESS_READ) as content:
            return sum(1 for _ in traces.pattern.finditer(content))
    except FileNotFoundError:
        return 0


def blot_out(path: Path, traces: Traces) -> None:
    """Write zeros over each hash and path in a file, in place: its length stays."""
    try:
        with path.open("r+b") as file, _mapped(file, mmap.ACCESS_WRITE) as content:
            for match in traces.pattern.finditer(content):
                content[match.start() : match.end()] = b"0" * (match.end() - match.start())
    except FileNotFoundError:  # a log that was put aside meanwhile: erase again
        logger.warning("%s is gone", path)


@contextmanager
def _mapped(file: BinaryIO, access: int) -> Iterator[Any]:
    """The content of a file, as the memory of the process; an empty file has none."""
    if not os.fstat(file.fileno()).st_size:
        yield bytearray()
        return
    with mmap.mmap(file.fileno(), 0, access=access) as content:
        yield content
