"""How the last backup went: ``$MEDLOOP_HOME/backups/state.json``, for those who watch."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from pipelines.atomic import written_whole
from pipelines.settings import Settings


class BackupState(BaseModel):
    """The last backup that succeeded, and the last that did not."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    succeeded_at: AwareDatetime | None = None
    """When the last good one was begun."""
    path: Path | None = None
    bytes: int = 0
    seconds: float = 0.0
    failed_at: AwareDatetime | None = None
    """When one failed since then."""
    error: str | None = None


def read_state(settings: Settings) -> BackupState:
    """How the last backup went; an empty state if there was none, or nothing can be read."""
    try:
        return BackupState.model_validate_json(_path(settings).read_bytes())
    except (OSError, ValidationError):
        return BackupState()


def write_state(settings: Settings, state: BackupState) -> None:
    """Note how a backup went, whole or not at all, for programs and for Prometheus."""
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
    _show(settings, state)


def _show(settings: Settings, state: BackupState) -> None:
    """Leave the figures for Prometheus; the stack's watchdog answers with them."""
    registry = CollectorRegistry()
    figures = {
        "last_success_timestamp_seconds": (
            "When the last good backup was begun; 0 if there is none.",
            state.succeeded_at.timestamp() if state.succeeded_at else 0,
        ),
        "bytes": ("Its size.", state.bytes),
        "seconds": ("How long it took.", state.seconds),
        "failed": ("1 if one has failed since then.", float(state.failed_at is not None)),
    }
    for name, (about, value) in figures.items():
        Gauge(f"medloop_backup_{name}", about, registry=registry).set(value)
    path = settings.home / "metrics" / "backup.prom"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)


def _path(settings: Settings) -> Path:
    return settings.home / "backups" / "state.json"
