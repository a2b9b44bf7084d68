"""How data, model and evaluation were made: the card's methods."""

from pipelines.documents.document import Block, Cell, Grid, Points, Section, Text
from pipelines.outputs import SPLITS
from pipelines.release.card.known import UNKNOWN, Known

SETTING = "candidate."
"""What the names of the params begin with that say how the candidate was trained."""
HIDDEN = {"name", "optional"}


def methods(known: Known) -> Section:
    """Data, reference standard, partitions, model, training and evaluation."""
    return Section(
        "Methods",
        sections=(
            Section("Data", _data(known)),
            Section(
                "Reference standard",
                (Text(known.spec.card.reference_standard or f"Who said which class: {UNKNOWN}"),),
            ),
            Section("Data partitions", _partitions(known)),
            Section("Model", _model(known)),
            Section("Training", _training(known)),
            Section("Evaluation", _evaluation(known)),
        ),
    )


def _data(known: Known) -> tuple[Block, ...]:
    spec, card = known.spec, known.spec.card
    synthetic = ("Synthetic: drawn by a program, of no person.",) if spec.synthetic else ()
    image = spec.image
    cropped = {
        "none": "",
        "body": "cropped to the body, ",
        "lesion": "cropped to the lesion that a U-Net finds, ",
    }[image.crop]
    return (
        Points(
            (
                *synthetic,
                f"Source: {spec.source.origin} ({spec.source.licence}).",
                f"Consent: {spec.source.consent}",
                f"Population, dates, who was taken in: {card.population or UNKNOWN}",
                f"Devices and acquisition: {card.acquisition or UNKNOWN}",
                _taken_in(known),
                f"Preprocessing: decoded, {cropped}resized to {image.size} x {image.size} pixels "
                f"({image.resize}), 8 bits; the same code for training and for use.",
                "De-identification: DICOM files keep only the elements that picture and technique "
                "need; patients and UIDs are pseudonyms.",
                "Missing data: an image without a readable picture or a known label is left out "
                "and counted; no value is filled in.",
            )
        ),
    )


def _taken_in(known: Known) -> str:
    snapshot = known.snapshot
    if snapshot is None:
        return f"Images taken in: {UNKNOWN}"
    kept = f" Those refused lie in {snapshot.quarantine}." if snapshot.quarantine else ""
    return f"Images taken in: {snapshot.images:,} (snapshot {snapshot.id}).{kept}"


def _partitions(known: Known) -> tuple[Block, ...]:
    split = known.split
    if split is None:
        return (Text(UNKNOWN),)
    counts = split.counts
    rows: list[tuple[Cell, ...]] = [
        (name, *(counts[part].get(name, 0) for part in SPLITS)) for name in known.spec.class_names
    ]
    own = "test" in known.spec.landing.splits
    origin = (
        "The test set is the collection's own; what training shared with it was taken out of "
        f"training ({split.leaks:,} images)."
        if own
        else "The test set was drawn at random from the collection, by group."
    )
    return (
        Text(
            "Partitions share no patient, lesion or cluster of near-duplicates. " + origin + " "
            f"{split.exact_duplicates:,} images are exact copies of others and "
            f"{split.near_duplicates:,} show the same picture as another."
        ),
        Grid("Images in each partition", ("class", *SPLITS), tuple(rows)),
    )


def _model(known: Known) -> tuple[Block, ...]:
    told = {name: known.params.get(SETTING + name, UNKNOWN) for name in ("model", "weights")}
    classes = ", ".join(known.spec.class_names)
    return (
        Points(
            (
                f"Architecture: {told['model']}. Weights it began from: {told['weights']}.",
                f"Input: one image of {known.spec.image.size} x {known.spec.image.size} pixels.",
                f"Output: a calibrated probability for each class ({classes}), whether the answer "
                "should be relied on, and whether a person should see the case first.",
                f"Explanations: Grad-CAM. Precision: {known.spec.bundle.precision}.",
            )
        ),
    )


def _training(known: Known) -> tuple[Block, ...]:
    settings = {
        name.removeprefix(SETTING): value
        for name, value in known.params.items()
        if name.startswith(SETTING) and name.removeprefix(SETTING) not in HIDDEN
    }
    rows = tuple(sorted(settings.items()))
    commit = known.tags.get("medloop.git_commit", UNKNOWN)
    said = (
        f"Trained on {known.trained_at}, run {known.run_id}, code {commit}. Chosen among the "
        f"candidates by {known.spec.selection.metric} on validation images."
    )
    return (Text(said), *((Grid("Settings", ("setting", "value"), rows),) if rows else ()))


def _evaluation(known: Known) -> tuple[Block, ...]:
    found = known.evaluation
    return (
        Text(
            f"Intervals are 95 %, by a bootstrap of {found.resamples:,} resamples of whole groups. "
            f"Probabilities are calibrated on validation images (temperature "
            f"{found.temperature:.3f}). The gate's limits stood in the spec before the figures "
            "were known."
        ),
    )
