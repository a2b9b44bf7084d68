"""What a run was trained with: the code, the locked packages, the machine."""

import hashlib
import platform
from importlib.metadata import version

import psutil

from pipelines.provenance import git_commit
from pipelines.settings import PROJECT

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "openvino", "mlflow", "pyspark")
LOCK = PROJECT / "uv.lock"


def describe() -> dict[str, str]:
    """Name → value: git commit, hash of the lock file, versions, processors and memory."""
    return {
        "git_commit": git_commit() or "unknown",
        "lock_sha256": lock_digest(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processors": str(psutil.cpu_count()),
        "memory_gb": f"{psutil.virtual_memory().total / 2**30:.1f}",
    }


def lock_digest() -> str:
    """sha256 of ``uv.lock``: names every package with its version and hash."""
    if not LOCK.is_file():
        return "unknown"
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def requirements(*packages: str) -> list[str]:
    """``name==version`` of installed packages."""
    return [f"{name}=={version(name)}" for name in packages]
