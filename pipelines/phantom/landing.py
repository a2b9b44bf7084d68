"""A landing folder of phantoms, as collections come: with copies, and with faulty files.

<class>/subject70123_slice2.png|jpg      pictures; the number begins with the seed
masks/<class>/subject70123_slice2.png    where the lesion is (255), for classes that have one
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.errors import LandingError
from pipelines.phantom.anatomy import draw_subject
from pipelines.phantom.draw import Slice, draw_slice
from pipelines.phantom.files import blank, cut_off, jpeg, png, smaller, text
from pipelines.phantom.lesion import LABELS, Label, draw_lesion
from pipelines.progress import track

COPIES = 6
"""Exact copies, and as many near ones."""


@dataclass(frozen=True)
class PhantomReport:
    """What a folder of phantoms holds; paths are relative to it."""

    images: dict[Label, int]
    """Distinct pictures of each class."""
    exact_copies: dict[str, str] = field(default_factory=dict)
    """Copy → original with the same bytes."""
    near_copies: dict[str, str] = field(default_factory=dict)
    """Copy → original: the same picture, compressed again or in another size."""
    faulty: dict[str, str] = field(default_factory=dict)
    """File to be refused → the reason it should be refused for."""

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {label}" for label, count in self.images.items())
        return (
            f"{counts}; {len(self.exact_copies)} exact and {len(self.near_copies)} near copies, "
            f"{len(self.faulty)} faulty files"
        )


@dataclass(frozen=True)
class Phantom:
    """One picture of the folder."""

    label: Label
    name: str
    suffix: str
    content: Slice

    @property
    def path(self) -> str:
        """Where it is written, relative to the folder."""
        return f"{self.label}/{self.name}{self.suffix}"

    @property
    def mask_path(self) -> str:
        """Where its mask is written."""
        return f"masks/{self.label}/{self.name}.png"


def generate(folder: Path, *, seed: int, images: int = 800, size: int = 128) -> PhantomReport:
    """Draw a landing folder of synthetic head phantoms.

    Classes are alike in number; one to three slices show each subject, who has one class. Copies
    go by the names of other subjects, and three files are faulty: a JPEG cut off, a text called
    ``.png`` and a blank picture. The folder appears whole or not at all.

    Args:
        folder: where to write; must be new or empty.
        seed: the same seed, number and size draw the same bytes.
        images: distinct pictures, besides copies and faulty files; at least 30.
        size: side of the pictures in pixels.

    Returns:
        What was written.

    Raises:
        LandingError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise LandingError(f"{folder} holds files already; name a new folder for the phantoms.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
        part = Path(name) / folder.name
        report = _draw(part, seed=seed, images=images, size=size)
        part.replace(folder)
    return report


def _draw(folder: Path, *, seed: int, images: int, size: int) -> PhantomReport:
    report = PhantomReport(images=dict.fromkeys(LABELS, 0))
    copied = np.random.default_rng([seed, 1]).permutation(images)[: 2 * COPIES].tolist()
    drawn = track(_phantoms(seed, images, size), total=images, what="Drawing phantoms")
    for index, phantom in enumerate(drawn):
        report.images[phantom.label] += 1
        _write(folder, phantom)
        if index in copied:
            _copy(folder, phantom, place=copied.index(index), seed=seed, report=report)
    _write_faulty(folder, seed=seed, size=size, report=report)
    return report


def _phantoms(seed: int, images: int, size: int) -> Iterator[Phantom]:
    """``images`` slices of as many subjects as that takes."""
    number = drawn = 0
    while drawn < images:
        number += 1
        subject = list(_subject(seed, number, size))[: images - drawn]
        drawn += len(subject)
        yield from subject


def _subject(seed: int, number: int, size: int) -> Iterator[Phantom]:
    """One to three slices of one subject, which share anatomy and lesion."""
    rng = np.random.default_rng([seed, 0, number])
    head = draw_subject(rng)
    label = LABELS[number % len(LABELS)]
    lesion = draw_lesion(rng, label, head) if label != "no_lesion" else None
    suffix = ".png" if rng.random() < 0.6 else ".jpg"
    levels = np.sort(rng.uniform(-0.45, 0.45, rng.integers(1, 4)))
    for place, level in enumerate(levels, start=1):
        content = draw_slice(head, lesion, level=float(level), size=size, rng=rng)
        yield Phantom(label, _name(seed, number, place), suffix, content)


def _name(seed: int, number: int, place: int = 1) -> str:
    return f"subject{seed}{number:04d}_slice{place}"


def _write(folder: Path, phantom: Phantom) -> None:
    encode = png if phantom.suffix == ".png" else jpeg
    _save(folder / phantom.path, encode(phantom.content.picture))
    if phantom.label != "no_lesion":
        _save(folder / phantom.mask_path, png(phantom.content.mask))


def _copy(folder: Path, phantom: Phantom, *, place: int, seed: int, report: PhantomReport) -> None:
    """Add a copy that goes by another subject's name: exact, recompressed, exact, smaller, …"""
    name = _name(seed, 9000 + place)
    if place % 2 == 0:
        copy = Phantom(phantom.label, name, phantom.suffix, phantom.content)
        report.exact_copies[copy.path] = phantom.path
    else:
        content = phantom.content if place % 4 == 1 else smaller(phantom.content)
        suffix = ".jpg" if phantom.suffix == ".png" else ".png"
        copy = Phantom(phantom.label, name, suffix, content)
        report.near_copies[copy.path] = phantom.path
    _write(folder, copy)


def _write_faulty(folder: Path, *, seed: int, size: int, report: PhantomReport) -> None:
    for number, (label, suffix, content, reason) in enumerate(
        (
            ("round_lesion", ".jpg", cut_off(seed, size), "truncated"),
            ("no_lesion", ".png", text(), "unknown_format"),
            ("diffuse_lesion", ".png", blank(size), "blank"),
        )
    ):
        path = f"{label}/{_name(seed, 9900 + number)}{suffix}"
        _save(folder / path, content)
        report.faulty[path] = reason


def _save(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
