"""The native stack: which process, which port, how it starts, how it is known to be ready."""

from stack.control import down, restart, up
from stack.logins import Login, logins
from stack.logs import follow, log_files, tail, task_logs
from stack.room import Room, rooms
from stack.status import PartStatus, status

__all__ = [
    "Login",
    "PartStatus",
    "Room",
    "down",
    "follow",
    "log_files",
    "logins",
    "restart",
    "rooms",
    "status",
    "tail",
    "task_logs",
    "up",
]
