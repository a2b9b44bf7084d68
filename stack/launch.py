"""Start one process of the stack: end what a killed predecessor left behind, then become it.

The supervisor runs this file. Servers have helpers (workers, running tasks) that outlive them when
they are killed hard, and that would keep the port or go on with work that is about to be done
again. What belongs to a process is known by the two variables that it hands down.
"""

import os
import sys

import psutil

PART = "MEDLOOP_PART"
HOME = "MEDLOOP_HOME"


def left_behind(home: str, part: str | None = None) -> list[psutil.Process]:
    """The processes, other than this one, that belong to a home's stack (or to one part of it)."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        ours = environment.get(HOME) == home and PART in environment
        if ours and process.pid != os.getpid() and part in (None, environment[PART]):
            found.append(process)
    return found


def part_of(process: psutil.Process) -> str | None:
    """The name of the process of the stack that one belongs to; ``None`` once it is gone."""
    try:
        return str(process.environ()[PART])
    except (psutil.Error, KeyError):
        return None


def end(processes: list[psutil.Process]) -> None:
    """Kill processes and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def is_under_way(pid: int) -> bool:
    """Whether a process is still this file, not yet the server it is to become.

    Until then its predecessor's helpers may answer on its port, and are about to be ended.
    """
    try:
        process = psutil.Process(pid)
        command, parent = process.cmdline(), process.parent()
        forked = parent is not None and command == parent.cmdline()
    except psutil.Error:
        return True
    # Empty in the midst of becoming another program.
    return not command or forked or __file__ in command


def main() -> None:
    """Become the command given as arguments."""
    end(left_behind(os.environ[HOME], os.environ[PART]))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
