from dataclasses import replace

import numpy as np
import pytest

from pipelines.errors import WindowError
from pipelines.monitoring import estimate as module
from pipelines.monitoring.estimate import estimate
from tests.pipelines.monitoring.drawn import draw, reference_of


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 60)


def test_the_estimate_of_a_clean_window_is_near_the_truth() -> None:
    window = draw(400, seed=1)

    found = estimate(reference_of(draw(800, seed=0)), window)

    assert found.accuracy == pytest.approx(window.confidence.mean(), abs=0.03)
    assert found.low < found.accuracy < found.high
    assert found.images == 400
    assert found.reference == pytest.approx(0.93, abs=0.03)


def test_a_less_sure_window_is_expected_to_be_less_right() -> None:
    reference = reference_of(
        draw(500, seed=0).take(np.arange(500)),
    )
    mixed = np.concatenate(
        [draw(400, seed=2).probabilities, draw(400, seed=3, sureness=0.4).probabilities]
    )
    wide = replace(draw(800, seed=0), probabilities=mixed, predicted=mixed.argmax(axis=1))

    found = estimate(reference_of(wide), draw(200, seed=4, sureness=0.4))

    assert found.accuracy == pytest.approx(0.57, abs=0.07)
    assert found.accuracy < estimate(reference, draw(200, seed=4)).low


def test_confidence_that_promises_too_much_is_seen_through() -> None:
    answers = draw(800, seed=0)
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(800) < 0.7, answers.predicted, (answers.predicted + 1) % 3)
    boastful = replace(reference_of(answers), labels=labels)

    found = estimate(boastful, draw(300, seed=5))

    assert found.accuracy == pytest.approx(0.7, abs=0.05)


def test_the_interval_holds_the_truth_nearly_always() -> None:
    reference = reference_of(draw(500, seed=0))
    inside = 0
    for seed in range(30):
        window = draw(80, seed=1000 + seed)
        found = estimate(reference, window, seed=seed)
        truth = (np.random.default_rng(seed).random(80) < window.confidence).mean()
        inside += found.low <= truth <= found.high

    assert inside >= 25  # 28 or 29 expected


def test_pictures_of_few_patients_make_the_interval_wider() -> None:
    answers = draw(200, seed=0)
    rng = np.random.default_rng(2)
    wrong = np.repeat(rng.random(10) < 0.3, 20)  # all of a patient's are right, or none is
    labels = np.where(wrong, (answers.predicted + 1) % 3, answers.predicted)
    alone = replace(reference_of(answers), labels=labels)
    patients = tuple(str(row // 20) for row in range(200))
    known = replace(alone, answers=answers.known_by(patients))
    window = draw(300, seed=6)

    narrow, wide = estimate(alone, window), estimate(known, window)

    assert wide.accuracy == narrow.accuracy
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_it_is_blind_where_the_same_pictures_come_to_mean_another_class() -> None:
    reference, window = reference_of(draw(400, seed=0)), draw(200, seed=7)

    assert estimate(reference, window).low > 0.8  # whatever the new truth is: no label is looked at


def test_the_same_seed_gives_the_same_interval() -> None:
    reference, window = reference_of(draw(100, seed=0)), draw(60, seed=8)

    assert estimate(reference, window, seed=1) == estimate(reference, window, seed=1)
    assert estimate(reference, window, seed=1) != estimate(reference, window, seed=2)


def test_a_window_without_answers_is_refused() -> None:
    with pytest.raises(WindowError, match="no answers"):
        estimate(reference_of(draw(50, seed=0)), draw(5, seed=0).take(np.array([], int)))
