"""The network that finds lesions, brought from the store to this machine."""

from pathlib import Path

from pipelines.errors import NotFound
from pipelines.imaging.lesion import FILES, LesionFinder, digest
from pipelines.outputs import Prepared, Segmenter
from pipelines.stage import MANIFEST, Context, standing


def fetch_segmenter(context: Context, path: str) -> Path:
    """A local copy of a network's folder, made once.

    Args:
        context: settings and store.
        path: store path of a `Segmenter`.

    Raises:
        NotFound: it is gone, or its files are not those that were kept.
        StoreUnavailable: the store does not answer.
    """
    kept = standing(context, path, Segmenter)
    if kept is None:
        raise _gone(context, path, f"there is no {MANIFEST}")
    folder = context.settings.cache / path
    if _is_whole(folder, kept):
        return folder
    for name in FILES:
        context.store.download(f"{path}/{name}", folder / name)
    if not _is_whole(folder, kept):
        raise _gone(context, path, "its files are not those that were kept (sha256 differs)")
    return folder


def _is_whole(folder: Path, kept: Segmenter) -> bool:
    return all((folder / name).is_file() for name in FILES) and digest(folder) == kept.sha256


def finder_of(context: Context, prepared: Prepared) -> LesionFinder | None:
    """What found the lesions that shards are cropped to; ``None`` where they are not.

    Raises:
        NotFound: it is gone.
        StoreUnavailable: the store does not answer.
    """
    if prepared.segmenter is None:
        return None
    return LesionFinder(fetch_segmenter(context, prepared.segmenter))


def _gone(context: Context, path: str, what: str) -> NotFound:
    return NotFound(
        f"The network that finds lesions, {context.store.uri(path)}: {what}. Delete that folder "
        "and prepare the images again: it is trained anew."
    )
