"""Which subgroup of each kind an image belongs to: by what the collection says, and its file."""

import numpy as np
import pandas as pd

from pipelines.evidence.subject import METADATA

AGE_EDGES = (0, 20, 40, 60, 80, np.inf)
AGES = ("under 20", "20 to 39", "40 to 59", "60 to 79", "80 and over")
MOST_VALUES = 15
"""A field of more values keeps the most frequent ones; the rest are one subgroup."""
MOST_NUMBERS = 6
"""Numbers of more values than this are divided into four ranges."""
REST = "others"


def memberships(facts: pd.DataFrame) -> dict[str, pd.Series]:
    """The subgroups that images fall into.

    Args:
        facts: of the images, as `Subject.facts_of` gives them.

    Returns:
        What they are divided by (each field of the collection's table, ``class before merging``,
        ``mode``, ``format``, ``source``) → each image's subgroup, a string, missing where it is
        not known. What is the same for all images divides nothing and is left out.
    """
    found = {
        name.removeprefix(METADATA): _of_field(name.removeprefix(METADATA), facts[name])
        for name in map(str, facts.columns)
        if name.startswith(METADATA)
    }
    if facts["landing_label"].nunique() > facts["label"].nunique():
        found["class before merging"] = facts["landing_label"]
    for name in ("mode", "format"):
        found[name] = facts[name]
    if "source" in facts:
        found["source"] = facts["source"].map(
            lambda number: f"source {number:.0f}", na_action="ignore"
        )
    frequent = {name: _most_frequent(values) for name, values in found.items()}
    return {name: values for name, values in frequent.items() if values.nunique() > 1}


def _of_field(name: str, values: pd.Series) -> pd.Series:
    known = values.where(values.astype("string").str.strip().fillna("") != "")
    numbers = pd.to_numeric(known, errors="coerce")
    if numbers.notna().sum() < known.notna().sum() or numbers.nunique() <= MOST_NUMBERS:
        return known
    if name == "age":
        return _named(pd.cut(numbers, AGE_EDGES, right=False, labels=AGES))
    ranges = pd.qcut(numbers, 4, duplicates="drop")
    return _named(ranges.map(lambda part: f"{part.left:g} to {part.right:g}"))


def _named(categories: pd.Series) -> pd.Series:
    return categories.astype("object").where(categories.notna())


def _most_frequent(values: pd.Series) -> pd.Series:
    kept = values.value_counts().index[:MOST_VALUES]
    return values.where(values.isin(kept) | values.isna(), REST)
