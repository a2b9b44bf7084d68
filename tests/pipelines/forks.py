"""Processes for a test to kill, forked from one that has imported TensorFlow.

The import takes more CPU than the trainings of the tests. The process that forks runs no operation
of TensorFlow, so its forks start as a new process does.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pipelines.settings import PROJECT

SERVER = """
import json, os, sys, traceback

import keras
import pipelines.tracking.keras_models
import pipelines.training.candidate
import pipelines.training.finetune
import pipelines.training.scratch

for line in sys.stdin:
    code, arguments = json.loads(line)
    process = os.fork()
    if process == 0:
        sys.argv = ["-c", *arguments]
        status = 1
        try:
            exec(code, {"__name__": "__main__"})
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(process, flush=True)
    os.waitpid(process, 0)
    print("ended", flush=True)
"""


class Forks:
    """Starts programs, one after the other."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def start(self, program: str, *arguments: str) -> "Fork":
        """Run a program's text with these arguments."""
        to, answers = self._server.stdin, self._server.stdout
        assert to is not None
        assert answers is not None
        to.write(json.dumps([program, arguments]) + "\n")
        to.flush()
        return Fork(int(answers.readline()), answers)

    def close(self) -> None:
        """End the process that forks."""
        self._server.communicate()


@dataclass(frozen=True)
class Fork:
    """A running program."""

    pid: int
    output: IO[str]

    def lines(self) -> Iterator[str]:
        """What it prints, until it ends."""
        for line in self.output:
            if line == "ended\n":
                return
            yield line

    def kill(self) -> None:
        """Kill it without warning, and wait until it has ended."""
        os.kill(self.pid, signal.SIGKILL)
        for _ in self.lines():
            pass
