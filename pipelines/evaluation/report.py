"""The evaluation of a candidate on one page: figures, pictures, and all evidence there is.

Drawn from `Evaluation` and its findings alone, whatever kinds of evidence there are.
"""

from pathlib import Path

from pipelines.documents.document import (
    Block,
    Cell,
    Document,
    Grid,
    Picture,
    Points,
    Section,
    Text,
    Warnings,
)
from pipelines.evaluation.intervals import Interval
from pipelines.evaluation.metrics import OVERALL
from pipelines.evaluation.record import Evaluation, SplitFigures
from pipelines.evaluation.targets import ANY_FINDING
from pipelines.evidence.finding import Finding
from pipelines.spec import DatasetSpec

AT_THE_POINT = ("sensitivity", "specificity", "precision", "npv")
BY_CLASS = ("sensitivity", "specificity", "precision", "f1", "auroc")
PICTURES = {
    "confusion_matrix": "Confusion matrix of the test images: true classes in rows, decided "
    "classes in columns; as served and, where thresholds decide, by argmax.",
    "roc": "Receiver operating characteristic of each class against the rest, on test images.",
    "precision_recall": "Precision and recall of each class against the rest, on test images.",
    "gradcam": "Grad-CAM of test images: where the model looked, hits left and misses right.",
}
TRUST = {
    "reliability": "How often the model was right, by how sure it was; on the diagonal its "
    "probabilities mean what they say.",
    "risk_coverage": "Accuracy of the answers that remain where the model may abstain from those "
    "it is least sure of.",
}


def document(spec: DatasetSpec, found: Evaluation, pictures: Path) -> Document:
    """The page.

    Args:
        spec: of the data set.
        found: the evaluation.
        pictures: folder with ``<picture>.png``; what is missing is left out.
    """
    test, validation = found.splits["test"], found.splits["validation"]
    synthetic = "Synthetic data. " if spec.synthetic else ""
    lead = (
        f"{synthetic}{found.candidate} on {test.images:,} test images in {test.groups:,} groups "
        f"(patients, lesions or clusters of copies) that it was not trained on, and on "
        f"{validation.images:,} validation images, by which candidates are chosen. Intervals are "
        f"95 %, by a bootstrap of {found.resamples:,} resamples of whole groups. "
        f"{found.decided_by}"
    )
    return Document(
        title=f"{spec.title}: evaluation of {found.candidate}",
        lead=(Text(lead), *warnings(found)),
        sections=(
            Section("Figures as served", (overall(found), by_class(found))),
            Section("The operating point", operating_point(found)),
            Section("What it answers, and where it looks", _drawn(PICTURES, pictures)),
            Section("How far its probabilities can be trusted", _trust(found, pictures)),
            *(evidence(finding, pictures) for finding in found.evidence.values()),
        ),
        foot=(
            f"Run {found.run_id}, trained and judged on {found.prepared}; model "
            f"{(found.model_sha256 or 'without a file')[:16]}. {spec.disclaimer}"
        ),
    )


def warnings(found: Evaluation) -> tuple[Block, ...]:
    """What all evidence warns of, in one block; none where nothing does."""
    items = tuple(warning for one in found.evidence.values() for warning in one.warnings)
    return (Warnings(items),) if items else ()


def overall(found: Evaluation) -> Grid:
    """The figures of the whole as served, test beside validation."""
    test, validation = found.splits["test"], found.splits["validation"]
    rows = [
        (name.replace("_", " "), with_interval(test, name), with_interval(validation, name))
        for name in (*OVERALL, "sensitivity.any_finding", "specificity.any_finding", "ece")
        if name in test.figures
    ]
    columns = ("figure", "test (95 % interval)", "validation (95 % interval)")
    return Grid("Figures of the whole", columns, tuple(rows))


def by_class(found: Evaluation) -> Grid:
    """The figures of each class against the rest as served, on the test set."""
    test = found.splits["test"]
    rows = [
        (name, *(with_interval(test, f"{measure}.{name}") for measure in BY_CLASS))
        for name in found.classes
    ]
    return Grid("Each class against the rest, on test images", ("class", *BY_CLASS), tuple(rows))


def with_interval(part: SplitFigures, name: str) -> str:
    """``0.912 (0.881 to 0.940)``."""
    return _with(part.figures[name], part.intervals.get(name))


def operating_point(found: Evaluation) -> tuple[Block, ...]:
    """Counts and figures of each class on the test set, as served beside argmax."""
    if found.thresholds is None:
        said = "No thresholds are set: the likeliest class is decided for, and argmax is as served."
    else:
        limits = ", ".join(f"{name} {limit:.4f}" for name, limit in found.thresholds.items())
        said = (
            f"Thresholds: {limits}. The class is decided for whose probability exceeds its "
            "threshold by the largest factor (as served); argmax decides for the likeliest class "
            "and is shown for comparison only. PPV and NPV are at the prevalence of the test set."
        )
    ways = {"as served": found.splits["test"]}
    if found.thresholds is not None:
        ways["argmax"] = found.by_likeliest("test")
    named = [*found.classes, ANY_FINDING]
    counts: tuple[tuple[Cell, ...], ...] = tuple(
        (name, way, *part.confusion[index])
        for index, name in enumerate(found.classes)
        for way, part in ways.items()
    )
    figures = tuple(
        (name, way, *(with_interval(part, f"{measure}.{name}") for measure in AT_THE_POINT))
        for name in named
        for way, part in ways.items()
        if f"sensitivity.{name}" in part.figures
    )
    columns = ("class", "decided by", "sensitivity", "specificity", "PPV", "NPV")
    decided = tuple(f"decided {name}" for name in found.classes)
    return (
        Text(said),
        Grid("Confusion matrix", ("true class", "decided by", *decided), counts),
        Grid("Each class against the rest, with 95 % intervals", columns, figures),
    )


def evidence(finding: Finding, pictures: Path) -> Section:
    """One kind of evidence."""
    blocks: list[Block] = [Text(finding.about)]
    blocks += [Points(finding.said)] if finding.said else []
    blocks += [Warnings(finding.warnings)] if finding.warnings else []
    blocks += [Grid(table.title, table.columns, table.rows) for table in finding.tables]
    if finding.figures:
        blocks.append(_figures(finding))
    drawn = {Path(name).stem: caption for name, caption in finding.pictures.items()}
    return Section(finding.title, (*blocks, *_drawn(drawn, pictures)))


def _figures(finding: Finding) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (name.replace("_", " "), _with(value, finding.intervals.get(name)))
        for name, value in finding.figures.items()
    ]
    return Grid("Figures", ("figure", "value (95 % interval)"), tuple(rows))


def _with(value: float, interval: Interval | None) -> str:
    if interval:
        return f"{value:.3f} ({interval.low:.3f} to {interval.high:.3f})"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3f}"


def _trust(found: Evaluation, pictures: Path) -> tuple[Block, ...]:
    said = f"Temperature {found.temperature:.3f}, fitted on validation images."
    blocks: list[Block] = [Text(said)]
    if "test" in found.calibration:
        test = found.calibration["test"]
        rows = tuple((name, was, getattr(test.after, name)) for name, was in test.before)
        columns = ("test", "as the model says", "calibrated")
        blocks.append(Grid("Calibration; 0 is perfect", columns, rows))
    if found.answered:
        title = "Accuracy where only the surest answers are given, as served"
        answered = tuple(found.answered.items())
        blocks.append(Grid(title, ("share answered", "accuracy"), answered))
    return (*blocks, *_drawn(TRUST, pictures))


def _drawn(captions: dict[str, str], pictures: Path) -> tuple[Picture, ...]:
    files = {pictures / f"{name}.png": caption for name, caption in captions.items()}
    return tuple(Picture(file, said) for file, said in files.items() if file.is_file())
