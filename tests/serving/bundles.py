"""Tiny inference bundles, drawn straight as OpenVINO graphs: made in milliseconds, no training."""

import io
import itertools
import shutil
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as op
from PIL import Image

from pipelines.documents import html
from pipelines.documents.document import Document, Text
from pipelines.evaluation.cells import Cells
from pipelines.evaluation.novelty import fit_novelty, pool
from pipelines.imaging import Finder, crop_box, decode, fit
from pipelines.imaging.lesion import LesionFinder
from pipelines.release import same_pixels
from pipelines.release.bundle import (
    EXPECTED,
    FINDER,
    HEAD,
    IR,
    KERAS,
    NOVELTY,
    BundleClass,
    BundleManifest,
    CanaryImage,
    file_digests,
    write_manifest,
)
from pipelines.release.card.beside import beside
from pipelines.spec import ImageSpec, LimitsSpec, ReferenceSpec, SourceSpec

SIZE = 32
CHANNELS = 8
HIDDEN = 6
CLASSES = ("clear", "spot", "haze")


def make_bundle(
    folder: Path,
    *,
    dataset: str = "phantom",
    version: int | None = 1,
    seed: int = 0,
    run_id: str = "run",
    image: ImageSpec | None = None,
    finder: Path | None = None,
    max_megapixels: float = 4,
) -> Path:
    """Write a whole, valid bundle with random weights, and a model card beside it; another seed
    answers differently. With a finder, for images that are cropped to what it finds."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    head = _head(rng)
    graph = _graph(rng, head)
    openvino.save_model(graph, folder / IR, compress_to_fp16=False)
    (k0, b0), (k1, b1) = head
    np.savez(folder / HEAD, kernel_0=k0, bias_0=b0, kernel_1=k1, bias_1=b1)
    (folder / KERAS).write_bytes(b"the OpenVINO tests do not open this")
    spec = image or ImageSpec(size=SIZE)
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    if finder is not None:
        shutil.copytree(finder, folder / FINDER)
    find = LesionFinder(finder) if finder else None
    canary = _write_canary(folder, compiled, spec, find)
    _write_novelty(folder, compiled, spec)
    limits = LimitsSpec(max_megapixels=max_megapixels, min_side=8)
    manifest = BundleManifest(
        dataset=dataset,
        title=f"The {dataset} images",
        synthetic=True,
        disclaimer="Not for diagnosis.",
        classes=tuple(
            BundleClass(
                name=n,
                title=n.title(),
                finding=n != "clear",
                about=f"About {n}.",
                recommendations=(f"Have {n} read.",),
                sources=(ReferenceSpec(title=f"On {n}", url=f"https://example.org/{n}"),),
            )
            for n in CLASSES
        ),
        image=spec,
        limits=limits,
        cells=Cells(first=1.5, stride=4),
        decoding=same_pixels.record(canary, spec, limits, find),
        candidate="tiny",
        model_version=version,
        run_id=run_id,
        snapshot=f"{dataset}/snapshots/0001-aa",
        split=f"{dataset}/splits/bb",
        prepared=f"{dataset}/prepared/cc",
        images={"train": 1200, "validation": 150, "test": 300},
        source=SourceSpec(origin="Drawn here", licence="CC0-1.0", consent="None is needed."),
        git_commit="0" * 40,
        created_at="2026-01-01T00:00:00+00:00",
        metrics={"accuracy": 0.9},
        files=file_digests(folder),
    )
    write_manifest(folder, manifest)
    card = Document(f"Model card: {dataset}", lead=(Text("For tests."),), sections=())
    beside(folder).write_text(html.page(card), encoding="utf-8")
    return folder


def png(seed: int = 0, *, width: int = 60, height: int = 40) -> bytes:
    """A small picture with something in it."""
    return encoded(_noise(seed, width, height), "PNG")


def jpeg(seed: int = 0, *, width: int = 60, height: int = 40) -> bytes:
    """The same as a JPEG."""
    return encoded(_noise(seed, width, height), "JPEG")


def encoded(pixels: NDArray[np.uint8], format: str) -> bytes:
    """Pixels as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def _noise(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)), np.uint8)


def _head(rng: np.random.Generator) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    widths = (CHANNELS, HIDDEN, len(CLASSES))
    return [
        (
            rng.normal(size=(a, b)).astype(np.float32),
            rng.normal(size=b).astype(np.float32),
        )
        for a, b in itertools.pairwise(widths)
    ]


def _graph(
    rng: np.random.Generator, head: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
) -> openvino.Model:
    """Scale → convolution → features → mean → dense, ReLU, dense → softmax."""
    image = op.parameter([-1, SIZE, SIZE, 3], np.float32, name="image")
    image.output(0).set_names({"image"})
    scaled = op.divide(image, op.constant(np.float32(255)))
    channels_first = op.transpose(scaled, op.constant([0, 3, 1, 2]))
    kernel = op.constant(rng.normal(size=(CHANNELS, 3, 4, 4)).astype(np.float32))
    convolved = op.relu(op.convolution(channels_first, kernel, [4, 4], [0, 0], [0, 0], [1, 1]))
    features = op.transpose(convolved, op.constant([0, 2, 3, 1]))
    x = op.reduce_mean(features, op.constant([1, 2]))
    for i, (weights, bias) in enumerate(head):
        x = op.add(op.matmul(x, op.constant(weights), False, False), op.constant(bias))
        x = op.relu(x) if i < len(head) - 1 else x
    named = {"logits": x, "features": features, "probabilities": op.softmax(x, 1)}
    results = []
    for name, node in named.items():
        node.output(0).set_names({name})
        results.append(op.result(node))
    return openvino.Model(results, [image], "tiny")


def _write_novelty(folder: Path, compiled: openvino.CompiledModel, image: ImageSpec) -> None:
    """As if the model had learnt from pictures such as `png` draws."""
    fitted = [fit(_noise(1000 + seed, 60, 40), image.without_lesion_crop) for seed in range(300)]
    pooled = pool(compiled(np.stack(fitted).astype(np.float32))["features"])
    fit_novelty([pooled[:200]], pooled[200:], false_alarms=0.01).save(folder / NOVELTY)


def _write_canary(
    folder: Path, compiled: openvino.CompiledModel, image: ImageSpec, find: Finder | None
) -> dict[str, bytes]:
    (folder / "canary").mkdir()
    files, images = {}, []
    for i, label in enumerate(CLASSES):
        file, data = f"canary/{label}-0.png", png(100 + i)
        files[file] = data
        (folder / file).write_bytes(data)
        pixels = decode(data)
        batch = fit(pixels, image, crop_box(pixels, image, find))[None].astype(np.float32)
        said = compiled(batch)["probabilities"][0]
        images.append(
            CanaryImage(
                file=file,
                label=label,
                predicted=CLASSES[int(said.argmax())],
                probabilities=dict(zip(CLASSES, map(float, said), strict=True)),
            )
        )
    content = "[" + ",".join(item.model_dump_json() for item in images) + "]"
    (folder / EXPECTED).write_text(content, encoding="utf-8")
    return files
