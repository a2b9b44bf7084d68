"""Talks to supervisord, which keeps the stack's processes alive: `supervisord.org`.

Every process stands in ``supervisord.conf`` but is started by name, once what it needs is ready.
"""

import configparser
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil

from pipelines.atomic import write_private
from pipelines.errors import StackError
from pipelines.settings import PROJECT, Settings
from pipelines.sockets import make_socket_folder, socket_folder
from stack import launch
from stack.environment import command, inherited_environment, stack_environment
from stack.part import Process
from stack.postgres import STOP_SECONDS

START_SECONDS = 15
"""Time in which supervisord starts and answers."""


ENDED = re.compile(r" exited: (\S+) \(")
"""What supervisord writes of a process that ended without being told to."""


@dataclass(frozen=True)
class ProcessInfo:
    """What supervisord knows of a process."""

    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN."""
    pid: int | None
    started: int
    """Seconds since the epoch, rounded up: what happened later was its own doing."""

    @property
    def alive(self) -> bool:
        """Whether it runs, or is about to."""
        return self.state in ("STARTING", "RUNNING", "BACKOFF")


def pid_file(settings: Settings) -> Path:
    """Where supervisord notes its process ID."""
    return settings.home / "supervisor" / "supervisord.pid"


class Supervisor:
    """The supervisord of one installation.

    Args:
        settings: the installation.
        processes: all its processes, in the order of starting.
    """

    def __init__(self, settings: Settings, processes: Sequence[Process]) -> None:
        self._settings = settings
        self._processes = processes
        self._socket = socket_folder(settings, "supervisor") / "supervisor.sock"
        self._folder = settings.home / "supervisor"

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self._settings.home / "logs" / f"{name}.log"

    def answers(self) -> bool:
        """Whether supervisord runs."""
        try:
            self._call("getState")
        except OSError:
            return False
        return True

    def ensure(self) -> list[str]:
        """Start supervisord, or make a running one read what has changed.

        Returns:
            The processes that were stopped because their settings have changed.

        Raises:
            StackError: it does not start.
        """
        self._write_configuration()
        if self.answers():
            return self._reload()
        self._start_daemon()
        return []

    def infos(self) -> dict[str, ProcessInfo]:
        """How each process stands; empty if supervisord does not run."""
        try:
            rows = self._call("getAllProcessInfo")
        except OSError:
            return {}
        return {row["name"]: _info(row) for row in rows}

    def restarts(self) -> Counter[str]:
        """How often each process has ended by itself since supervisord was started."""
        try:
            said = self.log("supervisord").read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return Counter()
        return Counter(ENDED.findall(said.rpartition("supervisord started with pid")[2]))

    def info(self, name: str) -> ProcessInfo:
        """How one process stands."""
        return _info(self._call("getProcessInfo", name))

    def start(self, name: str) -> None:
        """Start a process if it does not run; does not wait until it is ready."""
        if not self.info(name).alive:
            self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        """Stop a process and wait until it has ended."""
        if self.info(name).alive:
            self._call("stopProcess", name, True)

    def family(self) -> list[psutil.Process]:
        """supervisord and all that descends from it, as it is now."""
        try:
            daemon = psutil.Process(int(pid_file(self._settings).read_text()))
            return [*daemon.children(recursive=True), daemon] if self.answers() else []
        except (OSError, ValueError, psutil.NoSuchProcess):
            return []

    def listens_on(self) -> set[int]:
        """The ports that the processes of this installation hold."""
        ports = set()
        for process in self.family():
            with suppress(psutil.Error):
                held = process.net_connections(kind="tcp")
                ports |= {c.laddr.port for c in held if c.status == psutil.CONN_LISTEN}
        return ports

    def shut_down(self) -> None:
        """End supervisord, and whatever it still runs."""
        daemon = self.family()[-1:]
        if self.answers():
            self._call("shutdown")
        # It stops what still runs, each as long as that may take.
        longest = max((process.stop_seconds for process in self._processes), default=0)
        psutil.wait_procs(daemon, timeout=START_SECONDS + longest)

    def end_left_behind(self, family: Sequence[psutil.Process] = ()) -> None:
        """End processes of this installation that no supervisord watches any more.

        Args:
            family: further ones that are known to belong to it.
        """
        launch.end([process for process in family if process.is_running()])
        launch.end(launch.left_behind(str(self._settings.home)))
        self.end_database()

    def left_behind(self) -> set[str]:
        """The names of the processes that run with no supervisord to watch them."""
        left = launch.left_behind(str(self._settings.home))
        return {name for process in left if (name := launch.part_of(process))}

    def end_database(self) -> None:
        """End a PostgreSQL that was left behind: it hides what it belongs to, so its successor
        cannot."""
        _end_postmaster(self._settings.home / "postgres" / "data" / "postmaster.pid")

    def _call(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        proxy = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except Fault as fault:
            raise StackError(f"supervisord: {method}{arguments}: {fault.faultString}") from fault
        finally:
            transport.close()

    def _reload(self) -> list[str]:
        """What ``supervisorctl update`` does, but stopping in order."""
        running = [name for name, info in self.infos().items() if info.alive]
        added, changed, removed = self._call("reloadConfig")[0]
        order = [process.name for process in self._processes]
        ended = sorted([*removed, *changed], key=lambda n: order.index(n) if n in order else -1)
        for name in reversed(ended):
            self._call("stopProcessGroup", name, True)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)
        return [name for name in changed if name in running]

    def _start_daemon(self) -> None:
        make_socket_folder(self._socket.parent)
        started = subprocess.run(
            [command("supervisord"), "-c", str(self._configuration)],
            env=inherited_environment(),
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if started.returncode or time.monotonic() > deadline:
                said = (started.stderr or started.stdout).strip()
                log = self.log("supervisord")
                raise StackError(f"supervisord does not start. {said or f'See {log}.'}")
            time.sleep(0.05)

    @property
    def _configuration(self) -> Path:
        return self._folder / "supervisord.conf"

    def _write_configuration(self) -> None:
        for folder in (self._folder, self._settings.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        config = configparser.RawConfigParser()
        config.read_dict(self._sections())
        text = io.StringIO()
        config.write(text)
        # Private: the settings in it may hold a login in an address.
        write_private(self._configuration, text.getvalue())

    def _sections(self) -> dict[str, dict[str, str]]:
        daemon = {
            "logfile": _literal(self.log("supervisord")),
            "pidfile": _literal(pid_file(self._settings)),
            "childlogdir": _literal(self._settings.home / "logs"),
        }
        if os.geteuid() == 0:
            daemon["user"] = "root"
        interface = "supervisor.rpcinterface:make_main_rpcinterface"
        return {
            "supervisord": daemon,
            "unix_http_server": {"file": _literal(self._socket), "chmod": "0700"},
            "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": interface},
        } | {f"program:{process.name}": self._program(process) for process in self._processes}

    def _program(self, process: Process) -> dict[str, str]:
        environment = {
            **stack_environment(self._settings),
            **process.environment,
            launch.PART: process.name,
        }
        pairs = (f'{name}="{value}"' for name, value in environment.items())
        return {
            "command": _literal(
                shlex.join([sys.executable, "-P", str(launch.__file__), *process.command])
            ),
            "environment": _literal(",".join(pairs)),
            "directory": _literal(PROJECT),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": "10",
            # Half an hour, ever more slowly: what a part needs may be away for longer than that
            # part takes to fail.
            "startretries": "60",
            "stopsignal": process.stop_signal,
            "stopwaitsecs": str(process.stop_seconds),
            "stopasgroup": "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            # supervisord takes this one value for an expression twice.
            "stdout_logfile": _literal(_literal(self.log(process.name))),
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": "2",
        }


def _literal(value: object) -> str:
    """A value that supervisord does not take for one of its ``%(...)s`` expressions."""
    return str(value).replace("%", "%%")


def _info(row: dict[str, Any]) -> ProcessInfo:
    return ProcessInfo(state=row["statename"], pid=row["pid"] or None, started=row["start"] + 1)


def _end_postmaster(pid_file: Path) -> None:
    """End a PostgreSQL that outlived its supervisor; it hides its environment, but names itself."""
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        if process.name() != "postgres":
            return
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)
    except (OSError, ValueError, IndexError, psutil.Error):
        return
