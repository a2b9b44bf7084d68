"""Challenger beside champion, on test images that are fair to both.

The champion may have been trained on an older split, and so on images of today's test set. These,
and whatever shows the same patient or picture, are left out on both sides and counted.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data import revisions
from pipelines.data.input.training_set import TrainingSet
from pipelines.data.prepare.executor import ACCEPTED, accepted_image
from pipelines.data.prepare.segmenters import fetch_segmenter
from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS
from pipelines.data.split.members import members
from pipelines.errors import NotFound
from pipelines.evaluation.calibration import softmax
from pipelines.evaluation.decisions import Decisions
from pipelines.evaluation.metrics import OVERALL, measure
from pipelines.evaluation.paired import Difference, paired_bootstrap
from pipelines.evaluation.predictions import images, labels_of
from pipelines.evaluation.targets import Labels
from pipelines.imaging import crop_box, decode, fit
from pipelines.outputs import Prepared
from pipelines.progress import track
from pipelines.release.bundle import Bundle, BundleManifest, finder_digests, load_bundle
from pipelines.release.paired_tests import PairedTest, paired_tests
from pipelines.release.rules import Subgroup
from pipelines.release.runtime import Tuning, open_runtime
from pipelines.release.subgroups import compare_subgroups
from pipelines.spec import DatasetSpec
from pipelines.stage import Context

logger = logging.getLogger(__name__)

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images."""

    images: int = 0
    left_out: int = 0
    """Test images the champion, or a group it learnt from, had in training."""
    challenger: dict[str, float] = field(default_factory=dict)
    champion: dict[str, float] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    """Figure → challenger less champion."""
    independent: dict[str, int] = field(default_factory=dict)
    """Figure → how many patients or lesions it rests on."""
    tests: tuple[PairedTest, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    notes: list[str] = field(default_factory=list)
    """What could not be compared, and why."""


def compare(
    spec: DatasetSpec,
    context: Context,
    prepared: Prepared,
    *,
    champion: Path,
    data: TrainingSet,
    rows: pd.DataFrame,
    ours: Decisions,
    parts: Mapping[str, "pd.Series[str]"],
) -> Comparison:
    """Ask the champion's bundle about today's test set and measure both.

    Args:
        spec: of the data set.
        context: settings and store.
        prepared: today's training set.
        champion: its bundle folder.
        data: the same, on this machine.
        rows: the images of the test split, in file order.
        ours: the challenger's answers to them.
        parts: subgroups: field → its value for each of these images.

    Raises:
        BundleError: the champion's bundle is not whole.
        NotFound: the champion needs originals that are gone.
    """
    bundle = load_bundle(champion)
    manifest, classes = bundle.manifest, spec.class_names
    if set(manifest.class_names) != set(classes):
        known = ", ".join(manifest.class_names)
        return Comparison(notes=[f"The champion tells other classes apart ({known})."])
    notes: list[str] = []
    fair = ~_learnt_from(context, prepared, manifest, rows, notes)
    labels = labels_of(rows, classes)
    lost = [name for index, name in enumerate(classes) if index not in labels[fair]]
    if lost:
        notes.append(f"No fair test image is left of {', '.join(lost)}; nothing is compared.")
        return Comparison(left_out=int((~fair).sum()), notes=notes)
    if manifest.image == spec.image and _same_finder(context, prepared, manifest):
        answers = bundle_answers(bundle, data)
    else:
        logger.info("the champion sees images its own way; asking it with the originals")
        answers = _answers_on_originals(context, prepared, bundle, rows)
    order = [manifest.class_names.index(name) for name in classes]
    return _measured(
        spec,
        rows[fair].reset_index(drop=True),
        ours.take(fair),
        Decisions.by_thresholds(answers[fair][:, order], classes, manifest.thresholds),
        parts={name: values[fair].reset_index(drop=True) for name, values in parts.items()},
        beside=Comparison(int(fair.sum()), int((~fair).sum()), notes=notes),
    )


def _same_finder(context: Context, prepared: Prepared, manifest: BundleManifest) -> bool:
    """Whether the champion's images are cropped to what the same network finds, if to any."""
    if prepared.segmenter is None:
        return True
    ours = fetch_segmenter(context, prepared.segmenter)
    return finder_digests(ours) == manifest.finder_digests


def _measured(
    spec: DatasetSpec,
    rows: pd.DataFrame,
    ours: Decisions,
    theirs: Decisions,
    *,
    parts: Mapping[str, "pd.Series[str]"],
    beside: Comparison,
) -> Comparison:
    """The comparison with its figures.

    Args:
        spec: of the data set.
        rows: the fair images.
        ours: the challenger's answers to them.
        theirs: the champion's.
        parts: subgroups of the same.
        beside: what is known without figures.
    """
    seed, groups = spec.split.seed, rows["group"].tolist()
    labels = labels_of(rows, spec.class_names)
    subgroups, small = compare_subgroups(
        ours.right(labels),
        theirs.right(labels),
        groups=groups,
        parts=parts,
        least=spec.gate.min_subgroup_images,
        seed=seed,
    )
    return replace(
        beside,
        challenger=measure(labels, ours, findings=spec.findings),
        champion=measure(labels, theirs, findings=spec.findings),
        differences=paired_bootstrap(
            labels, ours, theirs, groups=groups, seed=seed, findings=spec.findings
        ),
        independent=_independent(labels, groups, spec.class_names),
        tests=paired_tests(labels, ours, theirs, groups=groups),
        subgroups=subgroups,
        notes=[*beside.notes, *small],
    )


def _independent(labels: Labels, groups: list[str], classes: Sequence[str]) -> dict[str, int]:
    """Figure → how many groups it rests on; the rarest class counts for the overall figures."""
    belongs = np.asarray(groups)
    each = [len(set(belongs[labels == index].tolist())) for index in range(len(classes))]
    overall = dict.fromkeys(OVERALL, len(classes) * min(each))
    of_classes = {f"sensitivity.{name}": n for name, n in zip(classes, each, strict=True)}
    return overall | of_classes


def bundle_answers(bundle: Bundle, data: TrainingSet) -> Probabilities:
    """(n, classes) what a bundle says about the test split, calibrated, in order."""
    runtime, temperature = open_runtime(bundle, "openvino", Tuning()), bundle.manifest.temperature
    answers = [softmax(runtime.run(batch)["logits"], temperature) for batch in images(data, "test")]
    return np.concatenate(answers)


def _learnt_from(
    context: Context,
    prepared: Prepared,
    manifest: BundleManifest,
    rows: pd.DataFrame,
    notes: list[str],
) -> NDArray[np.bool_]:
    """(n,) whether the champion had a test image, or one of its group, in training."""
    if manifest.split == prepared.split:
        return np.zeros(len(rows), bool)
    try:
        then = members(context, manifest.split, ["sha256", "split"]).to_pandas()
    except NotFound:
        notes.append(f"The champion's split {manifest.split} is gone: it may know test images.")
        return np.zeros(len(rows), bool)
    learnt = set(then.loc[then["split"] == "train", "sha256"])
    now = members(context, prepared.split, ["sha256", "cluster"]).to_pandas()
    groups = set(now.loc[now["sha256"].isin(learnt), "cluster"])
    known = rows["sha256"].isin(learnt) | rows["group"].isin(groups)
    return known.to_numpy(bool)


def _answers_on_originals(
    context: Context, prepared: Prepared, bundle: Bundle, rows: pd.DataFrame
) -> Probabilities:
    runtime = open_runtime(bundle, "openvino", Tuning())
    snapshot = revisions.at(context, prepared.snapshot)
    files = revisions.files(context, snapshot, PACK_COLUMNS, of=rows["sha256"])
    keys = set(zip(rows["sha256"], rows["source_path"], strict=True))
    wanted = [r for r in files.to_pylist() if (r["sha256"], r["source_path"]) in keys]
    found = track(originals(context, wanted), total=len(wanted), what="Asking the champion")
    answers = {}
    for row, content in found:
        image = bundle.manifest.image
        with accepted_image(row["source_path"]):
            picture = decode(content, limits=ACCEPTED)
            seen = fit(picture, image, crop_box(picture, image, bundle.finder))
        logits = runtime.run(seen[None].astype(np.float32))["logits"][0]
        answers[row["sha256"]] = softmax(logits, bundle.manifest.temperature)
    missing = set(rows["sha256"]) - set(answers)
    if missing:
        raise NotFound(
            f"{len(missing)} test images are not in {context.store.uri(prepared.snapshot)}, such "
            f"as {min(missing)}. Ingest them again."
        )
    return np.stack([answers[sha256] for sha256 in rows["sha256"]])
