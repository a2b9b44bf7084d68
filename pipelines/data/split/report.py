"""The leak report: one HTML page with all figures inside."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from PIL import Image

from pipelines import imaging
from pipelines.data.restore import originals
from pipelines.data.revisions import PACK_COLUMNS
from pipelines.data.split import leaks
from pipelines.documents import html
from pipelines.documents.document import Block, Cell, Document, Grid, Picture, Section, Text
from pipelines.outputs import SPLITS, Split
from pipelines.spec import DatasetSpec, DuplicatesSpec
from pipelines.stage import Context

REASONS = {
    "leak": "Leaked: the test set has the same picture, patient or lesion",
    "duplicate": "Exact copy of an image in the same split",
    "label_conflict": "The same bytes have several labels",
}
KINDS = {
    "copy": "the same bytes",
    "near": "the same picture",
    "group": "the same patient or lesion",
    "indirect": "linked by further copies",
}
PAIRS_SHOWN = 36
PACKS_READ = 8
SIDE = 144
Rows = Iterator[tuple[Cell, ...]]


def page(
    spec: DatasetSpec,
    context: Context,
    split: Split,
    *,
    rows: pd.DataFrame,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    leaked: pd.DataFrame,
    disagreeing: pd.DataFrame,
) -> str:
    """The whole page, with its figures inside.

    Args:
        spec: the data set.
        context: settings and store.
        split: its counts.
        rows: one row per file, after `division.decide`.
        images: one row per image, with the columns `PACK_COLUMNS`; ``pairs`` has positions in it.
        pairs: near duplicates.
        leaked: from `leaks.find`.
        disagreeing: near duplicates with different labels.
    """
    similar = leaks.as_pairs(leaked) if len(leaked) else leaks.named(images, pairs)
    shown = choose(similar.dropna(subset=["correlation"]), images)
    titles = [one.title for one in spec.classes]
    method = Section("How this was found", (Text(_method(spec.duplicates)),))
    with TemporaryDirectory(prefix="medloop-") as folder:
        pictures = _pictures(context, images, shown, Path(folder))
        sections = (
            _section("Images in each split", ["class", *SPLITS], _counts(spec, split)),
            _section("Images in no split", ["why", *titles, "all"], _excluded(spec, rows)),
            Section("Pairs found to show the same picture", tuple(pictures) or (Text("None."),)),
            _section(
                "What leaked, and from where",
                ["training image", "test image", "they share", "how"],
                _leaks(leaked),
            ),
            _section(
                "Labels that contradict each other",
                ["image", "label", "how"],
                _contradictions(leaks.conflicts(rows), disagreeing),
            ),
            method,
        )
        synthetic = [Text("Synthetic data.")] if spec.synthetic else []
        lead = (*synthetic, Text(_lead(split, rows)))
        foot = f"Split {split.id} of {split.snapshot}. {spec.disclaimer}"
        return html.page(Document(f"{spec.title}: duplicates and leaks", lead, sections, foot))


def choose(pairs: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """A few dozen pairs, from the most to the least similar, from few packs.

    Args:
        pairs: with ``first_sha256``, ``second_sha256`` and ``correlation``.
        images: images of the snapshot, with their ``pack``.
    """
    pack = dict(zip(images["sha256"], images["pack"], strict=True))
    ranked = pairs.sort_values(["correlation", "first_sha256", "second_sha256"], ascending=False)
    read: set[str] = set()
    near: list[int] = []
    for index, pair in enumerate(ranked.itertuples()):
        packs = {pack[str(pair.first_sha256)], pack[str(pair.second_sha256)]}
        if len(read | packs) <= PACKS_READ:
            read |= packs
            near.append(index)
    step = max(1, -(-len(near) // PAIRS_SHOWN))
    return ranked.iloc[near[::step]].reset_index(drop=True)


def _pictures(
    context: Context, images: pd.DataFrame, shown: pd.DataFrame, folder: Path
) -> list[Picture]:
    """Both images of each pair, side by side."""
    wanted = {*shown["first_sha256"], *shown["second_sha256"]}
    rows = images.loc[images["sha256"].isin(wanted), list(PACK_COLUMNS)].to_numpy().tolist()
    small = {}
    for row, data in originals(
        context, (dict(zip(PACK_COLUMNS, row, strict=True)) for row in rows)
    ):
        small[row["sha256"]] = Image.fromarray(imaging.decode(data))
        small[row["sha256"]].thumbnail((SIDE, SIDE))
    pictures = []
    for number, pair in enumerate(shown.to_dict("records")):
        sheet = Image.new("RGB", (2 * SIDE, SIDE))
        for index, side in enumerate(("first", "second")):
            sheet.paste(small[pair[f"{side}_sha256"]], (index * SIDE, 0))
        file = folder / f"{number}.jpeg"
        sheet.save(file, quality=80)
        names = f"{pair['first_source_path']} · {pair['second_source_path']}"
        pictures.append(Picture(file, f"{names}: {_how(pair)}"))
    return pictures


def _section(title: str, columns: list[str], rows: Rows) -> Section:
    listed = tuple(rows)
    block: Block = Grid(title, tuple(columns), listed) if listed else Text("Nothing.")
    return Section(title, (block,))


def _lead(split: Split, rows: pd.DataFrame) -> str:
    origin = (
        f"The collection's own test set is kept. {split.leaks:,} training images show a picture, "
        "patient or lesion that the test set shows too; they were taken out of training. Figures "
        "measured with them in training would flatter the model."
        if (rows["declared_split"] == "test").any()
        else "The collection has no test set of its own; one was drawn such that nothing in it is "
        f"shared with training. {split.leaks:,} images were taken out of training because images "
        "that came later brought theirs (the same picture, patient or lesion) into the test set."
    )
    return (
        f"Of {len(rows):,} images, {split.exact_duplicates:,} have the same bytes as another, and "
        f"{split.near_duplicates:,} more show the same picture as another. {origin}"
    )


def _counts(spec: DatasetSpec, split: Split) -> Rows:
    for one in spec.classes:
        yield one.title, *(split.counts[name][one.name] for name in SPLITS)
    yield "all", *(sum(split.counts[name].values()) for name in SPLITS)


def _excluded(spec: DatasetSpec, rows: pd.DataFrame) -> Rows:
    found = rows.groupby(["excluded", "label"]).size()
    for reason, words in REASONS.items():
        counts = [int(found.get((reason, label), 0)) for label in spec.class_names]
        yield words, *counts, sum(counts)


def _leaks(leaked: pd.DataFrame) -> Rows:
    for pair in leaked.to_dict("records"):
        paths = pair["train_source_path"], pair["test_source_path"]
        yield *paths, KINDS[pair["kind"]], _how(pair)


def _contradictions(conflicts: pd.DataFrame, disagreeing: pd.DataFrame) -> Rows:
    """Exact copies, which were excluded, and near duplicates, which stay together."""
    for row in conflicts.to_dict("records"):
        yield row["source_path"], row["label"], f"copy {row['sha256'][:8]}, left out"
    for pair in disagreeing.to_dict("records"):
        paths, labels = (
            f"{pair[f'first_{what}']} · {pair[f'second_{what}']}"
            for what in ("source_path", "label")
        )
        yield paths, labels, f"{_how(pair)}; kept together"


def _how(pair: Mapping[Any, Any]) -> str:
    if pd.isna(pair["correlation"]):
        return ""
    posed = "" if pair["pose"] == "same" else f", {pair['pose']}"
    return f"correlation {pair['correlation']:.3f}{posed}"


def _method(rule: DuplicatesSpec) -> str:
    return (
        "Exact copies have the same SHA-256. Two other images count as the same picture if their "
        f"64-bit perceptual hashes differ in at most {rule.hash_distance} bits, as they are, "
        "mirrored, upside down or turned by 180°, and their 32 x 32 thumbnails, normalised for "
        f"local contrast, correlate with at least {rule.correlation:g}. Neighbouring slices of one "
        "scan are not meant to be found. Images of the same picture, patient or lesion stay in one "
        "split."
    )
