"""One way to hash a file."""

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """sha256 of a file of this machine, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
