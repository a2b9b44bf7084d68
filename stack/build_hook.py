"""What a wheel holds besides the program: the commit it was built from, and its path file.

Run by hatchling, in an environment of its own: nothing of Medloop can be imported here.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelBuildHook(BuildHookInterface[Any]):
    """Adds two files to a wheel; an editable installation has a path file of its own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files and tell hatchling where they go."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="medloop-wheel-")
        folder = Path(self._folder.name)
        added = {"medloop.pth": "medloop", "medloop/GIT_COMMIT": _commit(Path(self.root))}
        for path, line in added.items():
            file = folder / Path(path).name
            file.write_text(f"{line}\n", "utf-8")
            build_data["force_include"][str(file)] = path


def _commit(root: Path) -> str:
    """The commit of a checkout, with ``+changes`` if files differ from it; empty elsewhere."""
    if not (root / ".git").exists():
        return ""
    git = ("git", "-C", str(root))
    head, changed = (
        subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()
        for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    )
    return f"{head}+changes" if changed else head
