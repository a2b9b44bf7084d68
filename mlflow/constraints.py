"""Print the releases that a ``uv.lock`` names as constraints for pip, one a line."""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Read the lock that the first argument names."""
    lock = tomllib.loads(Path(sys.argv[1]).read_text("utf-8"))
    for package in lock["package"]:
        if "registry" in package["source"]:
            print(f"{package['name']}=={package['version']}")


if __name__ == "__main__":
    main()
