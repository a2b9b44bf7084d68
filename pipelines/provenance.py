"""Which code made something: recorded in manifests, runs and bundles."""

import subprocess
from functools import lru_cache

from pipelines.settings import PROJECT

BUILT_FROM = "GIT_COMMIT"
"""The file of an image that names the commit it was built from."""


@lru_cache
def git_commit() -> str | None:
    """The commit of the checked-out code, with ``+changes`` if files differ from it.

    An image has no repository, but a file that names the commit. ``None`` where there is neither.
    """
    built_from = PROJECT / BUILT_FROM
    if built_from.is_file():
        return built_from.read_text("utf-8").strip() or None
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no") else commit


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
