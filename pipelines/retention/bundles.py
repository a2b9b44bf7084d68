"""Local copies of bundles: the service needs that of the version it serves, and no other."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.release import registry
from pipelines.release.bundle import MANIFEST
from pipelines.release.card import beside
from pipelines.retention.files import ASIDE, bytes_of, remove_folder
from pipelines.retention.item import LINKED, UNPROVEN, Item, Kind
from pipelines.retention.pins import Pins
from pipelines.stage import Context
from pipelines.tracking.client import Tracking, open_tracking

NAME = re.compile(r"(\d+)-[0-9a-f]{8}")
PART = re.compile(r"\.\d+-[0-9a-f]{8}\.[0-9a-f]{8}|\.card-.+|" + re.escape(ASIDE) + r"[0-9a-f]+")
"""What a download, or a removal, that was killed has left."""


class _Kept(BaseModel):
    """What a bundle says of itself; read of bundles of any format."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    dataset: str
    model_version: int | None


def items(context: Context, dataset: str, pins: Pins) -> Iterator[Item]:
    """The local copies of a data set's bundles, each with the card beside it."""
    settings, tracking = context.settings, open_tracking(context.settings)
    folder = settings.bundles / dataset
    if any(path.is_symlink() for path in (settings.bundles, folder)) or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        is_part = PART.fullmatch(path.name)
        if not (is_part or NAME.fullmatch(path.name)) or not (path.is_dir() or path.is_symlink()):
            continue
        used = max(path.lstat().st_mtime, _changed(path / MANIFEST))
        place = f"home:{path.relative_to(settings.home)}"
        pin = None if is_part else _pin(tracking, path, dataset, pins)
        kind: Kind = "work" if is_part else "bundles"
        pin = LINKED if path.is_symlink() else pin
        yield Item(kind, place, used, pin, partial(bytes_of, path), partial(_remove, path, used))


def _pin(tracking: Tracking, path: Path, dataset: str, pins: Pins) -> str | None:
    try:
        kept = _Kept.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return UNPROVEN
    version = int(path.name.partition("-")[0])
    if (kept.dataset, kept.model_version) != (dataset, version):
        return UNPROVEN
    if pins.everything:
        return pins.everything
    registered = pins.known.get(version)
    if registered is None or registry.folder_name(registered) != path.name:
        return "MLflow does not know this version: the copy here may be the only one"
    if version in pins.versions:
        return pins.versions[version]
    if not tracking.has_artifact(registered.run_id, f"{registered.bundle}/{MANIFEST}"):
        return "MLflow has no copy of this bundle"
    return None


def _changed(manifest: Path) -> float:
    try:
        return manifest.lstat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path, used: float) -> bool:
    with registry.fetching(path.parent):
        is_there = path.is_dir() and not path.is_symlink()
        if not is_there or max(path.lstat().st_mtime, _changed(path / MANIFEST)) != used:
            return False
        beside.beside(path).unlink(missing_ok=True)
        remove_folder(path)
    return True
