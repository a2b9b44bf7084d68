"""One loaded bundle: bytes in, prediction and explanation out."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines import imaging
from pipelines.errors import BadImage, BundleError
from pipelines.evaluation import overlay
from pipelines.evaluation.abstention import Case, Reason, contrast, why_abstain, why_review
from pipelines.evaluation.attention import Attention, locate
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.cells import spread, stretched
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.gradcam import class_activation
from pipelines.evaluation.gradcam_autodiff import class_activation_by_gradients
from pipelines.failures import only_this_image
from pipelines.imaging import Box, crop_box, fit
from pipelines.imaging import Limits as ImageLimits
from pipelines.imaging.body import body_mask
from pipelines.imaging.limits import limits_of
from pipelines.release.bundle import Bundle, load_bundle
from pipelines.release.runtime import Goal, Runtime, RuntimeName, Tuning, open_runtime
from pipelines.release.same_pixels import require_proven, require_same_pixels

logger = logging.getLogger(__name__)

ATTENTION_SIDE = 64
"""Longer side, in pixels, of the picture in which the attention is located."""


class Decode(Protocol):
    """`pipelines.imaging.decode`, or what does the same elsewhere."""

    def __call__(self, data: bytes, *, limits: ImageLimits) -> NDArray[np.uint8]:
        """The pixels of a file, uint8 (height, width, 3)."""


@dataclass(frozen=True)
class Picture:
    """An image, decoded and brought to the form the model takes."""

    pixels: NDArray[np.uint8]
    """(height, width, 3), as decoded."""
    fitted: NDArray[np.uint8]
    """(size, size, 3)"""
    box: Box
    """The part of the pixels that was fitted."""
    sha256: str
    """Of the bytes that came."""


@dataclass(frozen=True)
class Reading:
    """What the model saw in one image."""

    picture: NDArray[np.uint8]
    """(height, width, 3), as decoded."""
    probabilities: NDArray[np.float32]
    """(classes,), summing to 1."""
    features: NDArray[np.float32]
    """(h, w, k), the last feature map."""
    best: int
    """The class decided for."""
    certainty: float
    """How clearly, 0 to 1; see `pipelines.evaluation.operating_point.weigh`."""
    doubts: tuple[Reason, ...]
    """Why the answer should not be relied on; nothing where it may be."""
    box: Box
    """The part of the picture that the model saw."""
    sha256: str
    """Of the bytes that came."""

    @property
    def shares(self) -> list[float]:
        """The probabilities as plain numbers, 0 to 1."""
        return [float(share) for share in self.probabilities.clip(0, 1)]


@dataclass(frozen=True)
class Predictor:
    """A bundle ready to answer; immutable, so a request keeps the one it began with."""

    bundle: Bundle
    runtime: Runtime
    runtime_name: RuntimeName
    proven: frozenset[str] | None = None
    """Encodings that are answered; all if ``None`` (`pipelines.release.same_pixels`)."""
    loaded_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def dataset(self) -> str:
        return self.bundle.manifest.dataset

    @property
    def version(self) -> int | None:
        """Version of the registered model; ``None`` before it has one."""
        return self.bundle.manifest.model_version

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.bundle.manifest.class_names

    @property
    def limits(self) -> ImageLimits:
        """What is refused before it is decoded."""
        return limits_of(self.bundle.manifest.limits)

    def read(self, data: bytes) -> Reading:
        """Decode and classify one image.

        Raises:
            BadImage: the bytes are no picture within the data set's limits.
        """
        return self.judge([self.see(data)])[0]

    def see(self, data: bytes, *, decode: Decode = imaging.decode) -> Picture:
        """Decode one image, as `judge` takes it.

        Args:
            data: the bytes of a file.
            decode: what turns them into pixels.

        Raises:
            BadImage: the bytes are not an image within the data set's limits, or something
                unexpected happened with this one (``unexpected_error``), which is logged.
        """
        with only_this_image(logger):
            pixels = decode(data, limits=self.limits)
            if self.proven is not None:
                require_proven(data, self.proven)
            image = self.bundle.manifest.image
            box = crop_box(pixels, image, self.bundle.finder)
            fitted = fit(pixels, image, box)
            return Picture(pixels, fitted, box, sha256=hashlib.sha256(data).hexdigest())

    def judge(self, pictures: Sequence[Picture]) -> list[Reading]:
        """Classify some images at once."""
        manifest = self.bundle.manifest
        outputs = self.runtime.run(np.stack([p.fitted for p in pictures]).astype(np.float32))
        probabilities = softmax(outputs["logits"], manifest.temperature)
        unlike = self._unlikeness(outputs["features"])
        return [
            self._reading(*seen)
            for seen in zip(pictures, probabilities, outputs["features"], unlike, strict=True)
        ]

    def _reading(
        self,
        picture: Picture,
        probabilities: NDArray[np.float32],
        features: NDArray[np.float32],
        unlikeness: float | None,
    ) -> Reading:
        manifest = self.bundle.manifest
        answer = Decisions.by_thresholds(
            probabilities[None], manifest.class_names, manifest.thresholds
        )
        best, certainty = int(answer.decided[0]), float(answer.certainty[0])
        case = Case(
            certainty=certainty,
            shorter_side=min(picture.pixels.shape[:2]),
            contrast=contrast(picture.fitted),
            unlikeness=unlikeness,
        )
        return Reading(
            picture.pixels,
            probabilities,
            features,
            best=best,
            certainty=certainty,
            doubts=why_abstain(manifest.abstention, case),
            box=picture.box,
            sha256=picture.sha256,
        )

    def review(self, reading: Reading) -> tuple[Reason, ...]:
        """Why a person should see the case first; nothing where there is no need."""
        manifest = self.bundle.manifest
        decided = manifest.classes[reading.best]
        findings = [index for index, c in enumerate(manifest.classes) if c.finding]
        return why_review(
            manifest.review,
            decided=decided.title,
            is_finding=decided.finding,
            finding_probability=float(reading.probabilities[findings].sum()),
            abstained=reading.doubts,
        )

    def overlay(self, reading: Reading, target: int, *, opacity: float) -> bytes:
        """A PNG of the picture with warm colours where the model found support for a class."""
        heat = self.heat(reading, target)
        image = self.bundle.manifest.image
        return overlay.draw(reading.picture, heat, image=image, opacity=opacity, box=reading.box)

    def attention(self, reading: Reading, target: int) -> Attention | None:
        """Where the picture supports a class; ``None`` if nothing in it does."""
        small = overlay.within(reading.picture, ATTENTION_SIDE)
        (height, width), (rows, columns) = reading.picture.shape[:2], small.shape[:2]
        box = reading.box.scaled(rows / height, columns / width)
        heat = self.heat(reading, target)
        placed = overlay.place(heat, small, self.bundle.manifest.image, box)
        return locate(placed, body_mask(small))

    def heat(self, reading: Reading, target: int) -> NDArray[np.float32]:
        """Grad-CAM over the model's input: float32 (size, size), 0 to 1."""
        manifest = self.bundle.manifest
        size, activation = manifest.image.size, self.activation(reading, target)
        cells = manifest.cells or stretched(len(activation), size)
        return spread(activation, cells, size)

    def activation(self, reading: Reading, target: int) -> NDArray[np.float32]:
        """Grad-CAM: float32 (h, w), 0 to 1, where the last feature map supports a class."""
        if self.bundle.head:
            return class_activation(reading.features, self.bundle.head, target)
        # a head of another form: by automatic differentiation, many times slower
        image = self.bundle.manifest.image
        seen = fit(reading.picture, image, reading.box).astype(np.float32)
        return class_activation_by_gradients(self._keras_model, seen, target)

    @cached_property
    def _keras_model(self) -> Any:
        import keras

        return keras.saving.load_model(self.bundle.keras, compile=False)

    def _unlikeness(self, features: NDArray[np.float32]) -> list[float | None]:
        """Of each feature map; see `Novelty.unlikeness`. ``None`` where it is not known."""
        novelty = self.bundle.novelty
        if novelty is None:
            return [None] * len(features)
        return [float(unlike) for unlike in novelty.unlikeness(features)]


def open_predictor(
    folder: Path, runtime: RuntimeName, *, cache: Path, threads: int, goal: Goal = "latency"
) -> Predictor:
    """Load a bundle, verify it, and warm it with its own canary images.

    Args:
        folder: the bundle.
        runtime: what runs the model.
        cache: folder where compiled models are kept.
        threads: processor threads, in all.
        goal: what they are used for; see `Tuning`.

    Raises:
        BundleError: it is altered, cannot be loaded, does not answer as it says it does, or the
            libraries installed here decode its canary images to other pixels.
    """
    bundle = load_bundle(folder)
    _require_thresholds(bundle)
    proven = require_same_pixels(bundle)
    model = open_runtime(bundle, runtime, Tuning(goal, threads, cache))
    predictor = Predictor(bundle, model, runtime, proven=proven)
    warm(predictor)
    return predictor


def warm(predictor: Predictor) -> None:
    """Ask a predictor its bundle's canary images, explanation included.

    Raises:
        BundleError: an answer is not the expected one, or there is none.
    """
    bundle = predictor.bundle
    if not bundle.canary:
        raise BundleError(f"Bundle {bundle.folder}: it holds no canary images to warm it with.")
    for image in bundle.canary:
        where = f"Bundle {bundle.folder}: canary {image.file}"
        try:
            reading = predictor.read((bundle.folder / image.file).read_bytes())
        except (BadImage, OSError) as error:
            raise BundleError(f"{where} cannot be read: {error}") from error
        expected = np.array([image.probabilities[name] for name in predictor.class_names])
        apart = float(np.abs(expected - reading.probabilities).max())
        if not apart <= bundle.manifest.tolerance:
            raise BundleError(
                f"{where}: a probability differs by {apart:.4f} from the expected one; "
                f"at most {bundle.manifest.tolerance:.4g} is taken."
            )
        predictor.overlay(reading, reading.best, opacity=0.5)


def _require_thresholds(bundle: Bundle) -> None:
    thresholds = bundle.manifest.thresholds
    if thresholds is None:
        return
    for name in bundle.manifest.class_names:
        if not thresholds.get(name, 0) > 0:
            raise BundleError(f"Bundle {bundle.folder}: thresholds need {name!r}, above 0.")
