"""The networks that find lesions: which network crops which image, and their local files."""

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

    A network finds lesions better in its training images than in others, so a classifier that is
    trained on such crops would get worse ones in service. So training images are cropped by
    networks that were not trained on them or on another image of their group.
    """

    final: Segmenter
    """Trained on all masks; crops validation, test and served images."""
    folds: tuple[Segmenter, ...] = ()
    """Each is trained on the masks of the other folds."""
    fold_of: Mapping[str, int] = field(default_factory=dict)
    """Group of training images with masks → index into ``folds``."""

    @property
    def every(self) -> tuple[Segmenter, ...]:
        """All networks; see `index_of`."""
        return (self.final, *self.folds)

    def index_of(self, split: str, group: str) -> int:
        """Index, in `every`, of the network that crops an image."""
        fold = self.fold_of.get(group) if split == "train" else None
        return 0 if fold is None else 1 + fold

    def identity(self) -> list[object]:
        """The inputs that decide the crops."""
        return [[one.sha256 for one in self.every], sorted(self.fold_of.items())]


def fetch_segmenter(context: Context, path: str) -> Path:
    """Download the folder of a network, once.

    Args:
        context: settings and store.
        path: store path of a `Segmenter`.

    Raises:
        NotFound: it does not exist, or its files have another sha256.
        StoreUnavailable: the store does not answer.
    """
    segmenter = existing_output(context, path, Segmenter)
    if segmenter is None:
        raise _not_found(context, path, f"{MANIFEST} is missing")
    folder = context.settings.cache / path
    if _is_whole(folder, segmenter):
        return folder
    for name in FILES:
        context.store.download(f"{path}/{name}", folder / name)
    if not _is_whole(folder, segmenter):
        raise _not_found(context, path, "its files have another sha256")
    return folder


def _is_whole(folder: Path, segmenter: Segmenter) -> bool:
    return all((folder / name).is_file() for name in FILES) and digest(folder) == segmenter.sha256


def finder_of(context: Context, prepared: Prepared) -> LesionFinder | None:
    """The network that found the lesions; ``None`` if images are not cropped to lesions.

    Raises:
        NotFound: it does not exist.
        StoreUnavailable: the store does not answer.
    """
    if prepared.segmenter is None:
        return None
    return LesionFinder(fetch_segmenter(context, prepared.segmenter))


def _not_found(context: Context, path: str, what: str) -> NotFound:
    return NotFound(
        f"The network that finds lesions, {context.store.uri(path)}: {what}. Delete that folder "
        "and prepare the images again, which trains the network again."
    )
