"""A systemd unit that starts the stack with the machine and after supervisord has died.

`medloop stack up` starts supervisord, which systemd then follows by its PID file. Whatever is left
of a stack whose supervisord was killed ends with it, and `up` runs again.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.errors import SettingsError
from pipelines.settings import ENV_FILE, INSTALLATION, Settings
from stack.catalog import all_parts
from stack.environment import command
from stack.supervision import START_SECONDS, pid_file

Scope = Literal["user", "system"]

NAME = "medloop.service"
SEALED = {
    "NoNewPrivileges": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
}
"""What any manager can forbid. Not forbidden is what a part needs: memory that is written and run
(Java's compiler), devices (a GPU), and the shared /tmp, where the sockets of a deep home are."""
SEALED_BY_ROOT = {
    "CapabilityBoundingSet": "",
    "ProtectSystem": "full",
    "ProtectControlGroups": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectProc": "invisible",
}
"""What only the system's manager can. Not ``strict``: landing folders may be anywhere."""


@dataclass(frozen=True)
class Service:
    """A unit, and what makes systemd run it."""

    file: Path
    """Where `medloop stack install-service` writes it."""
    unit: str
    commands: tuple[str, ...]
    """What a person types then."""


def service(settings: Settings, scope: Scope, *, user: str) -> Service:
    """The unit of an installation.

    Args:
        settings: the installation.
        scope: ``user``: of the user's own manager, for which root is not needed; ``system``: of
            the system's.
        user: who runs the stack.

    Raises:
        SettingsError: a setting comes from this shell, so the service would not have it; or root
            would run the stack.
    """
    _require_settings_in_file()
    if scope == "system" and user == "root":
        raise SettingsError(
            "A system service runs the stack as an ordinary user. Run this command as the user who "
            "is to run the stack; it shows what root does then."
        )
    if scope == "system":
        file, target = settings.home / NAME, "multi-user.target"
        commands = (
            f"sudo install -m 644 {file} /etc/systemd/system/{NAME}",
            "sudo systemctl daemon-reload",
            f"sudo systemctl enable --now {NAME}",
        )
        sealed = {"User": user} | SEALED | SEALED_BY_ROOT
    else:
        file, target = Path("~/.config/systemd/user").expanduser() / NAME, "default.target"
        commands = (
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {NAME}",
            f"sudo loginctl enable-linger {user}    # starts it before anybody logs in",
        )
        sealed = SEALED
    sections = {
        "Unit": {
            "Description": "Medloop, the retraining loop for medical-image classifiers",
            **({"After": "network.target"} if scope == "system" else {}),
        },
        "Service": _service(settings) | sealed,
        "Install": {"WantedBy": target},
    }
    unit = "\n\n".join(
        "\n".join([f"[{section}]", *(f"{name}={value}" for name, value in options.items())])
        for section, options in sections.items()
    )
    return Service(file, f"{unit}\n", commands)


def stop_seconds(settings: Settings) -> int:
    """How long a stop of the whole stack may take: its parts may stop one after the other."""
    return START_SECONDS + sum(
        max(process.stop_seconds for process in part.processes) for part in all_parts(settings)
    )


def _service(settings: Settings) -> dict[str, str]:
    medloop = _quoted(command("medloop"))
    kept = {name: os.environ[name] for name in (ENV_FILE, "JAVA_HOME") if name in os.environ}
    environment = " ".join(_quoted(f"{name}={value}") for name, value in kept.items())
    return {
        "Type": "forking",
        "PIDFile": str(pid_file(settings)).replace("%", "%%"),
        **({"Environment": environment} if environment else {}),
        "ExecStart": f"{medloop} stack up",
        "ExecStop": f"{medloop} stack down",
        "Restart": "on-failure",
        "RestartSec": "10",
        # `up` itself gives up on a part that does not become ready.
        "TimeoutStartSec": "infinity",
        "TimeoutStopSec": str(stop_seconds(settings)),
        "LimitNOFILE": "65536",
    }


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _require_settings_in_file() -> None:
    fields = Settings.model_fields
    names = sorted(
        name
        for name in os.environ
        if name.startswith("MEDLOOP_") and name.removeprefix("MEDLOOP_").lower() in fields
    )
    if names:
        file = os.environ.get(ENV_FILE) or INSTALLATION / ".env"
        raise SettingsError(
            f"A service does not have the variables of this shell: {', '.join(names)}. Write them "
            f"into {file}, unset them here, and try again."
        )
