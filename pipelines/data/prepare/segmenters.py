"""The networks that find lesions: which one crops which image, and their files on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import NotFound
from pipelines.imaging.lesion import FILES, LesionFinder, digest
from pipelines.outputs import Prepared, Segmenter
from pipelines.stage import MANIFEST, Context, existing_output


@dataclass(frozen=True)
class Segmenters:
    """The networks that crop a data set's images.

    A network finds the lesions of images that it has learned from better than those of any other.
    A classifier that is trained on such crops is served worse ones. So training images are cropped
    by networks that have not seen them, nor another image of their group.
    """

    final: Segmenter
    """Has learned from all masks; crops validation, test and everything that is served."""
    folds: tuple[Segmenter, ...] = ()
    """Each has learned from the masks of the other folds."""
    fold_of: Mapping[str, int] = field(default_factory=dict)
    """Group of training images with masks → its fold, an index into ``folds``."""

    @property
    def every(self) -> tuple[Segmenter, ...]:
        """All networks; `place_of` is an index into them."""
        return (self.final, *self.folds)

    def place_of(self, split: str, group: str) -> int:
        """Which of the networks crops an image."""
        fold = self.fold_of.get(group) if split == "train" else None
        return 0 if fold is None else 1 + fold

    def identity(self) -> list[object]:
        """What decides the crops."""
        return [[one.sha256 for one in self.every], sorted(self.fold_of.items())]


def fetch_segmenter(context: Context, path: str) -> Path:
    """A local copy of a network's folder, made once.

    Args:
        context: settings and store.
        path: store path of a `Segmenter`.

    Raises:
        NotFound: it is gone, or its files are not those that were kept.
        StoreUnavailable: the store does not answer.
    """
    kept = existing_output(context, path, Segmenter)
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
    """What found the lesions that images are cropped to; ``None`` where they are not.

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
