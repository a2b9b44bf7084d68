"""The native stack: which process, which port, how it starts, how it is known to be ready."""

from stack.control import down, restart, up
from stack.status import PartStatus, status

__all__ = ["PartStatus", "down", "restart", "status", "up"]
