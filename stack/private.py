"""Files that only their owner may read: the passwords and keys that the stack makes for itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pipelines.atomic import written_whole


def once(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What a private JSON file holds; made if it is not there."""
    if not path.is_file():
        write(path, json.dumps(make()))
    return cast("dict[str, str]", json.loads(path.read_text("utf-8")))


def write(path: Path, text: str) -> None:
    """Write a private file, beside and renamed, so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as fresh:
        fresh.touch(mode=0o600)
        fresh.write_text(text, encoding="utf-8")
