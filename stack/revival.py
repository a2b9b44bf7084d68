"""Brings supervisord back when it was killed.

supervisord keeps every process of the stack alive; killed itself, it leaves them running with
nobody to start them again. The watch is its child: it sees that its parent is another than at the
start, and runs this file, which starts supervisord and, under it, every part anew that still runs.
So each of the two brings the other back. Both gone at once is for ``medloop stack up`` to mend.
"""

import logging
import subprocess
import sys

from pipelines.settings import PROJECT, Settings, get_settings
from stack.control import revive
from stack.environment import inherited_environment, stack_environment

logger = logging.getLogger("stack.revival")


def begin(settings: Settings) -> None:
    """Revive the stack from a process of its own: the caller is about to be replaced."""
    log = settings.home / "logs" / "revival.log"
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "stack.revival"],
            env=inherited_environment() | stack_environment(settings),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def main() -> None:
    """Start supervisord again, and what it kept alive."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    parts = revive(get_settings())
    logger.info("Started again: %s", ", ".join(parts) or "nothing, as nothing was left behind")


if __name__ == "__main__":
    main()
