import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from pipelines.errors import BadImage
from pipelines.evaluation.overlay import OPACITY
from pipelines.monitoring.served import PROBABILITY
from pipelines.release.predictor import Picture, Predictor
from pipelines.scoring import answers
from pipelines.scoring.answers import Opened, Row, answer, columns
from tests.serving.bundles import CLASSES, png


def opened(predictor: Predictor, seeds: range) -> Iterator[Opened]:
    for seed in seeds:
        yield Opened({"source_path": f"{seed}.png"}, predictor.see(png(seed)))


def rows_of(predictor: Predictor, images: Iterator[Opened], *, overlays: bool = False) -> list[Row]:
    return list(answer(predictor, images, overlays=overlays))


def test_each_image_gets_the_answer_it_gets_alone(predictor: Predictor) -> None:
    rows = rows_of(predictor, opened(predictor, range(19)))

    assert [row["source_path"] for row in rows] == [f"{seed}.png" for seed in range(19)]
    for seed, row in enumerate(rows):
        alone = predictor.read(png(seed))
        shares = [row[PROBABILITY + name] for name in CLASSES]
        assert shares == pytest.approx(alone.shares, abs=1e-6)
        assert row["predicted"] == CLASSES[alone.best]
        assert row["confidence"] == pytest.approx(max(shares))
        assert row["abstained"] == bool(alone.doubts)
        assert [told["code"] for told in row["abstained_because"]] == [
            doubt.code for doubt in alone.doubts
        ]
        assert row["review"] == bool(predictor.review(alone))


def test_what_cannot_be_read_keeps_its_place_and_its_reason(predictor: Predictor) -> None:
    broken = Opened({"source_path": "broken.png"}, BadImage("truncated", "It is cut off."))
    images = [*opened(predictor, range(3)), broken, *opened(predictor, range(3, 12)), broken]

    rows = rows_of(predictor, iter(images))

    names = [image.known["source_path"] for image in images]
    assert [row["source_path"] for row in rows] == names
    assert rows[3] == {
        "source_path": "broken.png",
        "reason": "truncated",
        "message": "It is cut off.",
    }
    assert [n for n, row in enumerate(rows) if row.get("reason")] == [3, 13]


def test_nothing_but_broken_files_is_no_trouble(predictor: Predictor) -> None:
    broken = [Opened({}, BadImage("empty", "Nothing."))] * 9

    assert [row["reason"] for row in rows_of(predictor, iter(broken))] == ["empty"] * 9


def test_overlays_are_those_of_the_service(predictor: Predictor) -> None:
    [row] = rows_of(predictor, opened(predictor, range(1)), overlays=True)

    reading = predictor.read(png(0))
    assert row["overlay"] == predictor.overlay(reading, reading.best, opacity=OPACITY)


def test_rows_are_of_the_columns_that_are_told(predictor: Predictor) -> None:
    [row] = rows_of(predictor, opened(predictor, range(1)))

    assert {"source_path", *columns(CLASSES).names} == {*row, "reason", "message"}


def test_few_pictures_wait_for_the_model_at_a_time(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PIXEL_BYTES_AT_ONCE", 3 * 60 * 40 * 3)
    together = []
    judge = Predictor.judge

    def counted(self: Predictor, pictures: list[Picture]) -> object:
        together.append(len(pictures))
        return judge(self, pictures)

    monkeypatch.setattr(Predictor, "judge", counted)
    asked = itertools.count()
    images = (image for image in opened(predictor, range(7)) if next(asked) >= 0)

    first = next(answer(predictor, images, overlays=False))

    assert next(asked) == 3
    assert first["source_path"] == "0.png"
    assert together == [3]
    assert np.isfinite(first["confidence"])
