"""How much room is left: on the disk of the home, and in HDFS."""

import json
import shutil
from dataclasses import dataclass

from pipelines.settings import Settings
from stack.ask import jmx_bean


@dataclass(frozen=True)
class Room:
    """A place that can become full, in bytes."""

    name: str
    """``home`` or ``hdfs``."""
    total: int
    free: int

    @property
    def free_share(self) -> float:
        """Between 0 and 1."""
        return self.free / self.total if self.total else 0.0


def rooms(settings: Settings) -> list[Room]:
    """The disk under the home, and HDFS's capacity while its NameNode answers."""
    disk = shutil.disk_usage(_standing(settings))
    hdfs = _hdfs(settings)
    return [Room("home", total=disk.total, free=disk.free), *([hdfs] if hdfs else [])]


def _standing(settings: Settings) -> str:
    """The home, or the nearest folder above it that is there."""
    return str(
        next(folder for folder in (settings.home, *settings.home.parents) if folder.is_dir())
    )


def _hdfs(settings: Settings) -> Room | None:
    info = jmx_bean(settings.webhdfs.split(";")[0], "NameNode,name=NameNodeInfo")
    if info is None or not json.loads(info["LiveNodes"]):
        return None
    return Room("hdfs", total=info["Total"], free=info["Free"])
