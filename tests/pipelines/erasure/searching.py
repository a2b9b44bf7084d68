"""Searches every byte of folders, also inside files that compress or encode what they hold."""

import base64
import io
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=]+)")


def places_of(needles: dict[str, bytes], *folders: Path) -> list[tuple[str, str]]:
    """Where something is found: (what, file), sorted."""
    found = set()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                for content in _inside(path.read_bytes(), path):
                    found |= {
                        (what, str(path.relative_to(folder)))
                        for what, needle in needles.items()
                        if needle in content
                    }
    return sorted(found)


def _inside(content: bytes, path: Path) -> Iterator[bytes]:
    yield content
    if content.startswith(b"PAR1"):
        for value in pq.read_table(io.BytesIO(content)).to_pydict().values():
            yield from _values(value)
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from _inside(archive.read(member), path)
    elif content.startswith(b"SQLite"):
        with closing(sqlite3.connect(path)) as database:
            yield "\n".join(database.iterdump()).encode()
    for encoded in BASE64.findall(content):
        yield from _inside(base64.b64decode(encoded), path)


def _values(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict):
        for one in value.values():
            yield from _values(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _values(one)
