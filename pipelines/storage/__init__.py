"""Where bytes live: one `Store` interface, over HDFS, a bucket or a local folder."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.storage.base import Store

__all__ = ["Store", "open_store"]


def open_store(settings: Settings) -> Store:
    """The store an installation uses.

    Raises:
        SettingsError: ``MEDLOOP_STORE`` is of no known kind, or names no bucket.
    """
    named = urlsplit(settings.store_root)
    if named.scheme == "hdfs":
        from pipelines.storage.hdfs import HdfsStore

        return HdfsStore(settings.store_root, webhdfs=settings.webhdfs, user=settings.hdfs_user)
    if named.scheme == "file":
        from pipelines.storage.local import LocalStore

        return LocalStore(Path(unquote(named.path)))
    from pipelines.storage.objects import SCHEMES, Access

    if named.scheme in SCHEMES and named.netloc:
        from pipelines.storage.object_store import ObjectStore

        return ObjectStore(settings.store_root, Access.of(settings))
    raise SettingsError(
        f"MEDLOOP_STORE={settings.store_root!r} must begin with hdfs://, file:///, s3://BUCKET, "
        "gs://BUCKET or abfs://CONTAINER."
    )
