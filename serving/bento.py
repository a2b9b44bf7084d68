"""What BentoML knows of the service: its arguments, and what ``bentoml build`` puts into a Bento.

A Bento holds the program, the bundles of the champions at the time of the build, and the versions
of the libraries it was built with. It answers with these bundles, asks no registry and needs no
store (docs/bento.md).
"""

import os
import shutil
from collections.abc import Mapping
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import bentoml
from bentoml.exceptions import NotFound
from bentoml.images import Image
from bentoml.models import BentoModel
from packaging.requirements import Requirement
from pydantic import BaseModel, Field

from pipelines.errors import NotFound as NoChampion
from pipelines.hashing import file_digest
from pipelines.release.bundle import MANIFEST, load_bundle, read_manifest
from pipelines.release.card.beside import beside
from pipelines.release.runtime import RuntimeName
from pipelines.release.same_pixels import require_same_pixels
from pipelines.settings import listed
from pipelines.spec import spec_names
from pipelines.stage import default_context, fingerprint
from serving.access.exposure import Auth

NAME = "medloop_champions"
"""Of the model in BentoML's model store."""
PACKAGES = (
    "bentoml",
    "croniter",
    "cryptography",
    "fastapi",
    "httptools",
    "httpx",
    "numpy",
    "opencv-python-headless",
    "openvino",
    "pillow",
    "prometheus-client",
    "psutil",
    "pyarrow",
    "pydantic",
    "pydantic-settings",
    "pydicom",
    "pyjpegls",
    "python-multipart",
    "pyyaml",
    "rich",
    "simplejpeg",
    "starlette",
    "typer",
    "uvicorn",
)
"""What answers with bundles on OpenVINO need, and `medloop token`."""
KERAS_PACKAGES = ("keras", "tensorflow")
"""What else the runtime TensorFlow needs, and Grad-CAM by automatic differentiation."""


class Arguments(BaseModel):
    """How one service is run or built (``bentoml serve|build --arg name=value``)."""

    bundle: Path | None = None
    """Serve, or build in, this bundle and ask no registry."""
    datasets: str = ""
    """Data sets whose champions are built in, comma-separated; all that have one if empty."""
    runtime: RuntimeName = "openvino"
    workers: int = Field(default=1, ge=1)
    threads: int = Field(default=os.cpu_count() or 1, ge=1)
    """Processor threads of one inference, and how many images are worked on at once."""
    host: str = "127.0.0.1"
    """Where the second port is opened, if there is one."""
    auth: Auth = "tokens"
    """Closed unless whoever starts it has seen that only this machine reaches it."""


class PinnedChampions(BentoModel):  # type: ignore[misc]
    """The champions as one model of BentoML's: made by ``bentoml build``, read in a Bento."""

    def to_info(self, alias: str | None = None) -> Any:
        """Copy the champions into BentoML's model store and describe the model they are there.

        Raises:
            NotFound: there is no champion.
            BundleError: one would not answer in the Bento.
        """
        bundles = bundles_to_build_in(bentoml.use_arguments(Arguments))
        return BentoModel(pin(bundles).tag).to_info(alias)

    def resolve(self, *_: Any) -> None:
        """Does nothing: BentoML calls it before it serves a checkout, where nothing is pinned."""


class InstalledImage(Image):  # type: ignore[misc]
    """A container image with the versions that are installed where the Bento is built.

    The bundles' images were decoded with them. BentoML would ask a package index for versions.
    """

    def _freeze_python_requirements(self, *_: Any) -> str:
        arguments = bentoml.use_arguments(Arguments)
        bundles = bundles_to_build_in(arguments).values()
        needs_keras = arguments.runtime == "tensorflow" or not all(
            load_bundle(folder).head for folder in bundles
        )
        return "\n".join(installed(PACKAGES + KERAS_PACKAGES * needs_keras)) + "\n"


def pin(bundles: Mapping[str, Path]) -> bentoml.Model:
    """Copy bundles, with their model cards, into BentoML's model store.

    Args:
        bundles: data set → bundle. The same bundles are stored once.

    Raises:
        BundleError: one is altered, or the libraries installed here, which the Bento will use,
            decode its images to other pixels.
    """
    for folder in bundles.values():
        require_same_pixels(load_bundle(folder))
    files = {dataset: [folder / MANIFEST, beside(folder)] for dataset, folder in bundles.items()}
    digests = {
        dataset: [file_digest(file) for file in both if file.is_file()]
        for dataset, both in sorted(files.items())
    }
    tag = f"{NAME}:{fingerprint(digests)}"
    try:
        return bentoml.models.get(tag)
    except NotFound:
        pass
    versions = {name: str(read_manifest(f).model_version) for name, f in bundles.items()}
    with bentoml.models.create(tag, labels=versions) as model:
        for dataset, folder in bundles.items():
            target = Path(model.path_of(dataset))
            shutil.copytree(folder, target)
            if beside(folder).is_file():
                shutil.copyfile(beside(folder), beside(target))
    return model


def pinned_bundles(bento: Any) -> list[Path]:
    """The bundles in a Bento (`bentoml.Bento`)."""
    (tag,) = (model.tag for model in bento.info.all_models if model.tag.name == NAME)
    folder = Path(BentoModel(tag).resolve().path)
    return sorted(file.parent for file in folder.glob(f"*/{MANIFEST}"))


def installed(packages: tuple[str, ...]) -> list[str]:
    """``name==version`` of packages and of all that they require, as installed here."""
    found: dict[str, str] = {}
    waiting = list(packages)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found[name] = version(name)
        required = [Requirement(text) for text in requires(name) or ()]
        waiting += [r.name for r in required if not r.marker or r.marker.evaluate({"extra": ""})]
    return [f"{name}=={found[name]}" for name in sorted(found)]


def bundles_to_build_in(arguments: Arguments) -> dict[str, Path]:
    """Data set → bundle, as the arguments of the build say.

    Raises:
        NotFound: there is no champion.
    """
    if arguments.bundle:
        return {read_manifest(arguments.bundle).dataset: arguments.bundle}
    from pipelines.release import registry  # takes seconds to import

    context = default_context()
    if named := listed(arguments.datasets):
        return {dataset: registry.fetch_champion(context, dataset) for dataset in named}
    served = [name for name in spec_names() if registry.champion(context, name)]
    if not served:
        raise NoChampion(
            "There is no champion to build in: run medloop retrain DATASET and promote its model, "
            "or name a bundle (bentoml build --arg bundle=FOLDER)."
        )
    return {dataset: registry.fetch_champion(context, dataset) for dataset in served}
