"""Writing a file so that readers, and other writers, never meet a part of it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A new file or folder beside ``path``, which takes its place if the block ends well.

    Its name belongs to this call alone, so two processes that write the same file cannot mix
    their content. It ends like ``path``'s, as some libraries decide by it what to write.

    Args:
        path: the file to write; an existing one is replaced. Its folder must exist.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.{path.name}")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
