"""Files that only their owner may read: the passwords and keys that the stack makes for itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pipelines.atomic import make_private


def once(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What a private JSON file holds; made if it is not there."""
    if not path.is_file():
        make_private(path, json.dumps(make()).encode())
    return cast("dict[str, str]", json.loads(path.read_text("utf-8")))
