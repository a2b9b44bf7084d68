"""Ending with the process that started this one, however that ends. Linux only (prctl(2)).

python -m pipelines.tether PARENT COMMAND …    # the command gets SIGTERM when its parent ends
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Ask the kernel for SIGTERM at the parent's death.

    Args:
        parent: the parent's process ID. If it has died already, this process exits at once.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Tether this process, then become the command."""
    end_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
