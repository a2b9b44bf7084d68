"""What tells one set of pretrained weights from another."""

import hashlib
from pathlib import Path


def weights_identity(weights: str | None) -> str | None:
    """What pretrained weights are: a file is known by its content, not by its path."""
    path = Path(weights).expanduser() if weights else None
    if path is None or not path.is_file():
        return weights
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
