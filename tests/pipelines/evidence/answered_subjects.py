"""A candidate that is no network: its answers are drawn by chance and the evidence has to find
what was put into them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.data.input.cache import fetch
from pipelines.evaluation.judging import thresholds_of
from pipelines.evaluation.predictions import described, with_decisions, with_probabilities
from pipelines.evidence.subject import Subject
from pipelines.settings import Settings
from pipelines.stage import Context
from pipelines.storage import open_store
from tests.pipelines.data.small_collection import Row, images, small_spec
from tests.pipelines.tracked import prepare_small

Score = Callable[[pd.DataFrame], NDArray[np.float64]]
"""Rows of images, with the collection's fields → (n,) the logit of a finding."""
FINDING = "bright"
BINARY = {"classes": [{"name": n, "title": n, "finding": n == FINDING} for n in ("bright", "dark")]}


def collection(per_class: int, **fields: Callable[[int], str]) -> list[Row]:
    """Images with fields of their own, each made of the image's number."""
    rows = images(per_class)
    for number, row in enumerate(rows):
        row["metadata"] = json.dumps({name: make(number) for name, make in fields.items()})
    return rows


def context_in(folder: Path) -> Context:
    """An installation of its own, on a folder."""
    settings = Settings(home=folder / "home", store=(folder / "store").as_uri())
    return Context(settings=settings, store=open_store(settings))


def answered_subject(context: Context, rows: list[Row], score: Score, **changes: Any) -> Subject:
    """A candidate that gives the class ``bright``, the finding, the logit that ``score`` says."""
    spec = small_spec(**(BINARY | changes))
    prepared = prepare_small(context, spec, rows=rows)
    data = fetch(context, prepared)
    parts = [described(data, split).assign(split=split) for split in ("validation", "test")]
    asked = pd.concat(parts, ignore_index=True)
    told = pd.DataFrame([json.loads(row.get("metadata") or "{}") for row in rows])
    told["source_path"] = [row["source_path"] for row in rows]
    rows_asked = asked.merge(told, on="source_path", how="left")
    # Drawn in an order of the test's own, so the draws do not move with that of the training set
    order = rows_asked.sort_values(["split", "source_path"], ascending=[False, True]).index
    logits = np.empty(len(asked))
    logits[order] = score(rows_asked.loc[order].reset_index(drop=True))
    asked["logit.bright"], asked["logit.dark"] = logits / 2, -logits / 2
    answers = with_probabilities(asked, data.classes, temperature=1)
    thresholds = thresholds_of(spec, answers[answers["split"] == "validation"])
    answers = with_decisions(answers, data.classes, thresholds)
    return Subject(
        spec,
        context,
        prepared,
        "drawn",
        data,
        None,
        answers,
        temperature=1.0,
        thresholds=thresholds,
    )


def knowing(rows: pd.DataFrame, *, skill: float = 4.0, seed: int = 0) -> NDArray[np.float64]:
    """(n,) calibrated logits: normal about plus or minus half the skill, with variance skill, as
    the log-likelihood ratio of two normal distributions is."""
    ill = np.where(rows["label"] == FINDING, 1, -1)
    noise = np.random.default_rng(seed).normal(size=len(rows))
    return np.asarray(ill * skill / 2 + noise * np.sqrt(skill), np.float64)
