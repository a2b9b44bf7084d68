from dataclasses import replace

import numpy as np
import pytest

from pipelines.monitoring.answers import of_samples, to_table
from tests.pipelines.monitoring.drawn import CLASSES, draw


def test_answers_come_back_from_a_table_as_they_were() -> None:
    answers = draw(40, seed=0)

    again = of_samples(to_table(answers), CLASSES)

    assert again.classes == CLASSES
    assert again.groups is None
    for name in ("predicted", "probabilities", "abstained", "features", "pictures"):
        assert (getattr(again, name) == getattr(answers, name)).all(), name


def test_the_confidence_is_that_of_the_class_decided_for() -> None:
    answers = replace(draw(2, seed=0), predicted=np.array([2, 0]))

    assert answers.confidence.tolist() == [
        answers.probabilities[0, 2],
        answers.probabilities[1, 0],
    ]


def test_rows_are_taken_with_whom_they_show() -> None:
    answers = draw(3, seed=0).known_by(("x", "y", "z"))

    taken = answers.take(np.array([2, 0]))

    assert taken.groups == ("z", "x")
    assert (taken.features == answers.features[[2, 0]]).all()


def test_a_class_the_model_does_not_have_is_no_answer_of_it() -> None:
    with pytest.raises(KeyError, match=r"probability\.d"):
        of_samples(to_table(draw(3, seed=0)), ("a", "b", "d"))
