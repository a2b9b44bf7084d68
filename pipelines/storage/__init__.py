"""Where bytes live: one `Store` interface, over HDFS or a local folder."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.storage.base import Store

__all__ = ["Store", "open_store"]


def open_store(settings: Settings) -> Store:
    """The store an installation uses.

    Raises:
        SettingsError: ``MEDLOOP_STORE`` is neither ``hdfs://`` nor ``file://``.
    """
    scheme = urlsplit(settings.store_root).scheme
    if scheme == "hdfs":
        from pipelines.storage.hdfs import HdfsStore

        return HdfsStore(settings.store_root, webhdfs=settings.webhdfs, user=settings.hdfs_user)
    if scheme == "file":
        from pipelines.storage.local import LocalStore

        return LocalStore(Path(unquote(urlsplit(settings.store_root).path)))
    raise SettingsError(
        f"MEDLOOP_STORE={settings.store_root!r} must begin with hdfs:// or file:///."
    )
