"""What the service is measured with: a bundle and a picture, made here where none are named."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.data.input.training_set import Batch
from pipelines.errors import BadImage, BundleError
from pipelines.imaging import decode, fit
from pipelines.models.registry import build
from pipelines.outputs import Prepared
from pipelines.phantom.landing import generate
from pipelines.release.build import Origin, Original, build_bundle
from pipelines.release.bundle import load_bundle
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec

MODEL = "efficientnet_lite0"
SIZE = 160
PICTURE_SIZE = 256
"""Side of the phantoms, of about the size of a slice of an MRI scan."""
NOWHERE = Prepared(
    dataset="phantom",
    id="none",
    snapshot="none",
    split="none",
    path="none",
    images="none",
    rows={"train": 0, "validation": 0, "test": 0},
)


@dataclass(frozen=True)
class Subject:
    """What is served and what it is asked."""

    bundle: Path
    image: bytes
    name: str


def make_subject(bundle: Path | None, image: Path | None) -> Subject:
    """The bundle and picture that were named; else an EfficientNet-Lite0 with ImageNet weights
    and a new head (what it says is worth nothing; how fast it says it is the same), and a phantom.
    """
    with tempfile.TemporaryDirectory(prefix="medloop-") as folder:
        drawn = Path(folder) / "phantoms"
        if bundle is None or image is None:
            generate(drawn, seed=1, images=30, size=PICTURE_SIZE)
        picture = image or sorted(drawn.rglob("*.jpg"))[0]
        content = picture.read_bytes()
        name = f"{picture.name}, {len(content) / 1024:.0f} KB"
        return Subject(bundle or _bundle(drawn), content, name)


def _bundle(phantoms: Path) -> Path:
    """The bundle kept from before, if it is whole; else a new one."""
    folder = get_settings().cache / "benchmarks" / f"{MODEL}-{SIZE}"
    try:
        return load_bundle(folder).folder
    except BundleError:
        print(f"Building a bundle of {MODEL} at {SIZE} pixels …")
    spec = load_spec("phantom")
    spec = spec.model_copy(update={"image": spec.image.model_copy(update={"size": SIZE})})
    model = build(MODEL, size=SIZE, classes=len(spec.classes), weights="imagenet")
    canary = [
        Original(file.name, label=name, content=file.read_bytes())
        for name in spec.class_names
        for file in sorted(phantoms.glob(f"**/{name}/*.png"))[:1]
        if "masks" not in file.parts
    ]
    with tempfile.TemporaryDirectory(prefix="medloop-") as made:
        file = Path(made) / "model.keras"
        model.save(file)
        origin = Origin("benchmark", "none", NOWHERE, metrics={}, temperature=1)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return build_bundle(
            folder,
            spec=spec,
            model_file=file,
            origin=origin,
            data=lambda _split: [_seen(phantoms, spec)],
            canary=canary,
        )


def _seen(phantoms: Path, spec: DatasetSpec) -> Batch:
    """The phantoms as the model sees them; whose pictures they are does not matter here."""
    seen = {}
    for file in sorted(phantoms.rglob("*.jpg")):
        with suppress(BadImage):  # one is cut off on purpose
            seen[file.name] = fit(decode(file.read_bytes()), spec.image)
    images, names = np.stack([*seen.values()]), [*seen]
    return Batch(images, np.zeros(len(names), np.int32), ids=names, paths=names)
