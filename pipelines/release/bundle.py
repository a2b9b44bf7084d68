"""The inference bundle: one folder with all the service needs to answer for a data set.

    bundle.json          what this is, and the sha256 of every other file
    model.xml, .bin      OpenVINO IR, float32 or int8; outputs `probabilities`, `logits`, `features`
    head.npz             dense layers behind the pooled feature map, for closed-form Grad-CAM
    novelty.npz          what the training images look like to the model; none in format 1
    finder/              the network that finds the lesion to crop to; only where images are cropped
                         to it (`pipelines.imaging.lesion`)
    model.keras          the trained model itself, for the TensorFlow runtime and for proofs
    canary/              a few test images per class (original bytes) and canary/expected.json

`load_bundle` trusts nothing: the format version is read first, then every file's hash is
compared, and the manifest itself carries a digest. The one field that is not sealed is
``model_version``, which MLflow gives out after the bundle was built.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipelines.atomic import written_whole
from pipelines.errors import BundleError
from pipelines.evaluation.cells import Cells
from pipelines.evaluation.novelty import Novelty
from pipelines.hashing import file_digest
from pipelines.imaging.lesion import FILES, LesionFinder
from pipelines.outputs import SplitName
from pipelines.spec import (
    AbstentionSpec,
    ImageSpec,
    LimitsSpec,
    Precision,
    ReferenceSpec,
    ReviewSpec,
    SourceSpec,
)

FORMAT_VERSION = 3
READABLE = (1, 2, 3)
"""An older bundle lacks what later fields say; each has a default that stands in for it."""
MANIFEST = "bundle.json"
IR = "model.xml"
IR_WEIGHTS = "model.bin"
HEAD = "head.npz"
NOVELTY = "novelty.npz"
FINDER = "finder"
KERAS = "model.keras"
EXPECTED = "canary/expected.json"
FINDER_FILES = tuple(f"{FINDER}/{name}" for name in FILES)
REQUIRED = (IR, IR_WEIGHTS, HEAD, KERAS, EXPECTED)
TOLERANCE = 1e-3
OUTPUTS = ("probabilities", "logits", "features")


class BundleClass(BaseModel):
    """One class, in the order of the model's outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    finding: bool
    about: str
    recommendations: tuple[str, ...] = ()
    sources: tuple[ReferenceSpec, ...] = ()


class CanaryImage(BaseModel):
    """A test image with what the Keras model said about it, calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """Path inside the bundle."""
    label: str
    """The class it is known to show."""
    predicted: str
    probabilities: dict[str, float]


class Agreement(BaseModel):
    """How a bundle answers beside the Keras model it comes from, on the validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    accuracy: float
    """Share of them that the bundle classifies right."""
    keras_accuracy: float
    largest_difference: float
    """Of a probability."""

    @property
    def loss(self) -> float:
        """What the bundle has lost of the Keras model's accuracy."""
        return self.keras_accuracy - self.accuracy


class Decoding(BaseModel):
    """How the canary images were decoded when the bundle was built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: dict[str, str]
    """Library → version; see `pipelines.decoding.decoding_versions`."""
    pixels: dict[str, str]
    """Canary file → sha256 of its pixels as the model sees them, uint8 (size, size, 3)."""
    encodings: tuple[str, ...]
    """What the canary images are encoded as (``JPEG RGB``, ``PNG L`` …)."""


class BundleManifest(BaseModel):
    """What ``bundle.json`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format_version: int = FORMAT_VERSION
    dataset: str
    title: str
    synthetic: bool
    disclaimer: str
    classes: tuple[BundleClass, ...] = Field(min_length=2)
    image: ImageSpec
    limits: LimitsSpec
    thresholds: dict[str, float] | None = None
    """Class → what its probability is divided by before the largest decides
    (`pipelines.evaluation.operating_point`); the largest probability decides if null."""
    temperature: float = Field(default=1.0, gt=0)
    """What the logits are divided by before softmax."""
    abstention: AbstentionSpec = AbstentionSpec()
    """When an answer is marked as one that should not be relied on."""
    review: ReviewSpec = ReviewSpec()
    """When a person should see the case first."""
    precision: Precision = "f32"
    """What the OpenVINO model calculates in."""
    agreement: Agreement | None = None
    """Null in bundles of format 1."""
    cells: Cells | None = None
    """Where the last feature map's cells stand in the model's input; null in bundles of format 1,
    which are drawn as if they covered it evenly."""
    decoding: Decoding | None = None
    """Null in bundles of formats 1 and 2."""
    candidate: str
    model_version: int | None = None
    """Version of the registered model; null before registration."""
    run_id: str
    snapshot: str
    """Store path of the snapshot."""
    split: str
    """Store path of the split."""
    prepared: str
    """Store path of the training set."""
    images: dict[SplitName, int] = {}
    """Split → images; none told in bundles of format 1."""
    source: SourceSpec | None = None
    """Where the images come from; null in bundles of format 1."""
    git_commit: str
    created_at: str
    """UTC, ISO 8601."""
    metrics: dict[str, float]
    """Figures on the leak-free test set."""
    former_digests: tuple[str, ...] = ()
    """Digests from before an erasure replaced canary images (`pipelines.erasure.bundles`)."""
    files: dict[str, str]
    """Path → sha256 of every other file."""
    digest: str = ""
    """sha256 of all of the above but ``model_version``."""

    @property
    def digests(self) -> frozenset[str]:
        """By which answers in the audit log name this bundle."""
        return frozenset({self.digest, *self.former_digests})

    @property
    def tolerance(self) -> float:
        """How far a probability may be from the Keras model's and count as the same answer:
        1e-3 in float32; in less, twice the largest difference on the validation images, as other
        processors and other images differ more."""
        if self.precision == "f32" or self.agreement is None:
            return TOLERANCE
        return max(TOLERANCE, 2 * self.agreement.largest_difference)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return tuple(c.name for c in self.classes)

    @property
    def required(self) -> tuple[str, ...]:
        """Files without which the bundle cannot answer."""
        crops = self.image.crop == "lesion"
        return (*REQUIRED, *FINDER_FILES) if crops else REQUIRED

    @property
    def finder_digests(self) -> tuple[str | None, ...]:
        """sha256 of each file of the network that finds lesions; null where there is none."""
        return tuple(self.files.get(name) for name in FINDER_FILES)

    def sealed(self) -> "BundleManifest":
        """This manifest with the digest that belongs to it."""
        return self.model_copy(update={"digest": _seal(self.model_dump(mode="json"))})


@dataclass(frozen=True)
class Bundle:
    """A verified bundle folder."""

    folder: Path
    manifest: BundleManifest

    @property
    def ir(self) -> Path:
        """The OpenVINO model; its weights stand beside it."""
        return self.folder / IR

    @property
    def keras(self) -> Path:
        """The Keras model."""
        return self.folder / KERAS

    @cached_property
    def head(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """(kernel (in, out), bias (out,)) of each dense layer from pooling to logits; ReLU
        between them, none after the last. Empty if the head is of another form."""
        with np.load(self.folder / HEAD, allow_pickle=False) as arrays:
            count = len(arrays.files) // 2
            return [(arrays[f"kernel_{i}"], arrays[f"bias_{i}"]) for i in range(count)]

    @cached_property
    def novelty(self) -> Novelty | None:
        """What the training images look like to the model; ``None`` in bundles of format 1."""
        if NOVELTY not in self.manifest.files:
            return None
        try:
            return Novelty.load(self.folder / NOVELTY)
        except (ValueError, KeyError, EOFError, BadZipFile) as error:
            raise _broken(self.folder, f"{NOVELTY} cannot be read ({error})") from error

    @cached_property
    def finder(self) -> LesionFinder | None:
        """What finds the lesion to crop to; ``None`` where images are not cropped to it."""
        if self.manifest.image.crop != "lesion":
            return None
        try:
            return LesionFinder(self.folder / FINDER)
        except (ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise _broken(self.folder, f"{FINDER} cannot be loaded ({first})") from error

    @cached_property
    def canary(self) -> list[CanaryImage]:
        """Test images with their expected answers."""
        content = (self.folder / EXPECTED).read_bytes()
        return TypeAdapter(list[CanaryImage]).validate_json(content)


def load_bundle(folder: Path) -> Bundle:
    """Open a bundle and verify all of it.

    Raises:
        BundleError: the manifest is missing, of another format version or altered, or a file is
            missing, altered or not listed; the message names it.
    """
    manifest = read_manifest(folder)
    missing = [name for name in manifest.required if name not in manifest.files]
    if missing:
        raise _broken(folder, f"{MANIFEST} does not list {missing[0]}")
    found = _files(folder)
    for name in sorted(found - set(manifest.files)):
        raise _broken(folder, f"{name} is not listed in {MANIFEST}")
    for name, digest in sorted(manifest.files.items()):
        if name not in found:
            raise _broken(folder, f"{name} is missing")
        if (folder / name).is_symlink():
            raise _broken(folder, f"{name} is a symbolic link, which could lead anywhere")
        if file_digest(folder / name) != digest:
            raise _broken(folder, f"{name} is not the file that was bundled (sha256 differs)")
    return Bundle(folder=folder, manifest=manifest)


def read_manifest(folder: Path) -> BundleManifest:
    """Read and verify ``bundle.json`` alone; see `load_bundle` for the files.

    Raises:
        BundleError: it is missing, of another format version, incomplete or altered.
    """
    path = folder / MANIFEST
    try:
        content: Any = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _broken(folder, f"there is no {MANIFEST}") from error
    except ValueError as error:
        raise _broken(folder, f"{MANIFEST} is not JSON ({error})") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version not in READABLE:
        readable = ", ".join(map(str, READABLE))
        what = f"format_version is {version!r}, this code reads {readable}"
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise BundleError(
                f"Bundle {folder}: {what}. A newer Medloop made it: upgrade this one, or go back "
                "to a version that it reads (medloop rollback)."
            )
        raise _broken(folder, what)
    try:
        manifest = BundleManifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _broken(folder, f"{MANIFEST}: {field}: {first['msg']}") from error
    # over the file as it stands: fields it does not know of have no part in its seal
    if manifest.digest != _seal(content):
        raise _broken(folder, f"{MANIFEST} was altered (its digest differs)")
    return manifest


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Write ``bundle.json``, sealed, whole or not at all."""
    with written_whole(folder / MANIFEST) as part:
        part.write_text(manifest.sealed().model_dump_json(indent=2) + "\n", encoding="utf-8")


def stamp(folder: Path, version: int) -> None:
    """Note in a bundle which version of the registered model it is."""
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"model_version": version}))


def note_former(folder: Path, digest: str) -> None:
    """Note in a bundle a digest that it was known by; does nothing where it is known."""
    manifest = read_manifest(folder)
    if digest not in manifest.digests:
        former = (*manifest.former_digests, digest)
        write_manifest(folder, manifest.model_copy(update={"former_digests": former}))


def file_digests(folder: Path) -> dict[str, str]:
    """Path → sha256 of every file of a bundle but its manifest."""
    return {name: file_digest(folder / name) for name in sorted(_files(folder))}


def finder_digests(folder: Path) -> tuple[str, ...]:
    """sha256 of each file of a network that finds lesions, to hold against a bundle's."""
    return tuple(file_digest(folder / name) for name in FILES)


def _seal(manifest: dict[str, Any]) -> str:
    """The digest a manifest should carry: over all of it but the digest and ``model_version``."""
    sealed = {name: manifest[name] for name in manifest.keys() - {"digest", "model_version"}}
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _files(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path.relative_to(folder).as_posix() for path in files} - {MANIFEST}


def _broken(folder: Path, what: str) -> BundleError:
    return BundleError(
        f"Bundle {folder}: {what}. Fetch it anew from MLflow, or select a candidate again."
    )
