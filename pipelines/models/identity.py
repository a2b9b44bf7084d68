"""What tells one set of pretrained weights from another."""

from pathlib import Path

from pipelines.hashing import file_digest


def weights_identity(weights: str | None) -> str | None:
    """What pretrained weights are: a file is known by its content, not by its path."""
    path = Path(weights).expanduser() if weights else None
    if path is None or not path.is_file():
        return weights
    return file_digest(path)
