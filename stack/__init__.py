"""The native stack: which process, which port, how it starts, how it is known to be ready."""

from stack.control import down, restart, up
from stack.logins import Login, logins
from stack.logs import follow, log_files, tail, task_logs
from stack.room import Room, rooms
from stack.status import PartStatus, status
from stack.systemd import Service, service

__all__ = [
    "Login",
    "PartStatus",
    "Room",
    "Service",
    "down",
    "follow",
    "log_files",
    "logins",
    "restart",
    "rooms",
    "service",
    "status",
    "tail",
    "task_logs",
    "up",
]
