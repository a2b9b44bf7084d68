"""The leak report: one HTML page that a person can read, keep and pass on."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd

from pipelines.outputs import SPLITS, Split
from pipelines.spec import DatasetSpec

REASONS = {
    "leak": "Leaked: the test set shows the same picture, patient or lesion",
    "duplicate": "Exact copy of an image that stands in the same split",
    "label_conflict": "The same bytes stand under several labels",
}
KINDS = {
    "copy": "the same bytes",
    "near": "the same picture",
    "group": "the same patient or lesion",
    "indirect": "linked by further copies",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2430; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-size: .9rem }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dde2e8 }
td.n, th.n { text-align: right } td.path { font-family: ui-monospace, monospace }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
figure { margin: 0 } figure img { width: 9rem; height: 9rem; object-fit: contain; background: #000 }
figcaption { font-size: .75rem; overflow-wrap: anywhere; color: #465264 }
.lead { font-size: 1.1rem } summary { cursor: pointer }
@media (prefers-color-scheme: dark) {
  body { color: #dfe5ec; background: #12161c } th, td { border-color: #2c3440 }
  figcaption { color: #9aa7b8 } }
"""


def page(
    spec: DatasetSpec,
    split: Split,
    *,
    rows: pd.DataFrame,
    leaked: pd.DataFrame,
    conflicts: pd.DataFrame,
    disagreeing: pd.DataFrame,
    shown: pd.DataFrame,
    images: dict[str, str],
) -> str:
    """The whole page, with its pictures inside.

    Args:
        spec: the data set.
        split: its counts.
        rows: one row a file, decided.
        leaked: as `leaks.find` gives them.
        conflicts: exact copies under several labels.
        disagreeing: near duplicates under several labels.
        shown: the pairs to show (`gallery.choose`).
        images: their pictures (`gallery.pictures`).
    """
    own_test = (rows["declared_split"] == "test").any()
    parts = [
        f"<h1>{escape(spec.title)}: duplicates and leaks</h1>",
        "<p><strong>Synthetic data.</strong></p>" if spec.synthetic else "",
        _lead(split, rows, own_test=bool(own_test)),
        "<h2>Images in each split</h2>",
        _counts(spec, split),
        "<h2>Images in no split</h2>",
        _excluded(spec, rows),
        "<h2>Pairs found to show the same picture</h2>",
        _pairs(shown, images),
        "<h2>What leaked, and from where</h2>",
        _leaks(leaked),
        "<h2>Labels that contradict each other</h2>",
        _contradictions(conflicts, disagreeing),
        "<h2>How this was found</h2>",
        _method(spec),
    ]
    title = f"{escape(spec.name)}: duplicates and leaks"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n<body>'
        + "\n".join(part for part in parts if part)
        + f"\n<p><small>Split {split.id} of {escape(split.snapshot)}. "
        f"{escape(spec.disclaimer)}</small></p></body></html>\n"
    )


def _lead(split: Split, rows: pd.DataFrame, *, own_test: bool) -> str:
    origin = (
        f"The collection's own test set is kept. {split.leaks:,} training images show a picture, "
        "patient or lesion that the test set shows too; they were taken out of training. Figures "
        "measured with them in training would flatter the model."
        if own_test
        else "The collection has no test set of its own; one was drawn such that nothing in it is "
        f"shared with training. {split.leaks:,} images were taken out of training because images "
        "that came later brought theirs (the same picture, patient or lesion) into the test set."
    )
    return (
        f'<p class="lead">Of {len(rows):,} images, {split.exact_duplicates:,} have the same bytes '
        f"as another, and {split.near_duplicates:,} more show the same picture as another. "
        f"{origin}</p>"
    )


def _counts(spec: DatasetSpec, split: Split) -> str:
    lines = [
        [escape(c.title), *(f"{split.counts[name][c.name]:,}" for name in SPLITS)]
        for c in spec.classes
    ]
    totals = [f"{sum(split.counts[name].values()):,}" for name in SPLITS]
    return _table(["class", *SPLITS], [*lines, ["<b>all</b>", *totals]])


def _excluded(spec: DatasetSpec, rows: pd.DataFrame) -> str:
    found = rows.groupby(["excluded", "label"]).size()
    lines = []
    for reason, words in REASONS.items():
        counts = [int(found.get((reason, label), 0)) for label in spec.class_names]
        lines.append([words, *(f"{count:,}" for count in counts), f"{sum(counts):,}"])
    return _table(["why", *(escape(c.title) for c in spec.classes), "all"], lines)


def _pairs(shown: pd.DataFrame, images: dict[str, str]) -> str:
    if shown.empty:
        return "<p>None.</p>"
    figures = [
        f'<figure><img src="{images[pair["first_sha256"]]}" alt=""> '
        f'<img src="{images[pair["second_sha256"]]}" alt=""><figcaption>'
        f"{escape(pair['first_source_path'])} · {escape(pair['second_source_path'])}<br>"
        f"{_how(pair)}</figcaption></figure>"
        for pair in shown.to_dict("records")
    ]
    text = "<p>From the most to the least alike, so that the last ones show how far it goes.</p>"
    return f'{text}<div class="pairs">{"".join(figures)}</div>'


def _how(pair: Mapping[Any, Any]) -> str:
    if pd.isna(pair["correlation"]):
        return ""
    posed = "" if pair["pose"] == "same" else f", {escape(pair['pose'])}"
    return f"correlation {pair['correlation']:.3f}{posed}"


def _leaks(leaked: pd.DataFrame) -> str:
    if leaked.empty:
        return "<p>Nothing.</p>"
    kinds = leaked["kind"].value_counts()
    counted = ", ".join(f"{kinds[k]:,} {words}" for k, words in KINDS.items() if k in kinds)
    lines = [
        [
            escape(pair["train_source_path"]),
            escape(pair["test_source_path"]),
            KINDS[pair["kind"]],
            _how(pair),
        ]
        for pair in leaked.to_dict("records")
    ]
    table = _table(["training image", "test image", "they share", ""], lines)
    return f"<p>{counted}.</p><details open><summary>All {len(lines):,}</summary>{table}</details>"


def _contradictions(conflicts: pd.DataFrame, disagreeing: pd.DataFrame) -> str:
    lines = [
        [escape(row["source_path"]), escape(row["label"]), f"copy {row['sha256'][:8]}"]
        for row in conflicts.to_dict("records")
    ]
    lines += [
        [
            f"{escape(pair['first_source_path'])}<br>{escape(pair['second_source_path'])}",
            f"{escape(pair['first_label'])}<br>{escape(pair['second_label'])}",
            _how(pair),
        ]
        for pair in disagreeing.to_dict("records")
    ]
    if not lines:
        return "<p>None found.</p>"
    return (
        "<p>Exact copies under several labels were left out. Near duplicates under several labels "
        "were kept, together; a person should look at them.</p>"
        + _table(["image", "label", ""], lines)
    )


def _method(spec: DatasetSpec) -> str:
    rule = spec.duplicates
    return (
        "<p>Exact copies have the same SHA-256. Two other images count as the same picture if "
        f"their 64-bit perceptual hashes differ in at most {rule.hash_distance} bits, as they "
        "stand, mirrored, upside down or turned by 180°, and their 32 x 32 thumbnails, normalised "
        f"for local contrast, correlate with at least {rule.correlation:g}. Neighbouring slices of "
        "one scan are not meant to be found. Whoever shows the same picture, patient or lesion "
        "stays in one split.</p>"
    )


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
