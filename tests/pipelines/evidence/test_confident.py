"""Confident learning finds the labels that were swapped."""

import numpy as np
from numpy.typing import NDArray

from pipelines.evidence.confident import margin, suggested, suspected

TRUE = np.arange(90) % 3
SWAPPED = [4, 50]


def answers(labels: NDArray[np.int64], sure: float = 0.9) -> NDArray[np.float64]:
    """A model that is right about ``labels``, and not equally sure everywhere."""
    doubt = np.random.default_rng(0).uniform(0, 0.1, len(labels))
    doubt[SWAPPED] = 0.0
    found = np.full((len(labels), 3), 0.0)
    found[np.arange(len(labels)), labels] = sure - doubt
    found[np.arange(len(labels)), (labels + 1) % 3] = 1 - sure + doubt
    return found


def test_swapped_labels_are_suspected_and_the_right_class_is_suggested() -> None:
    labels = TRUE.copy()
    labels[SWAPPED] = (labels[SWAPPED] + 1) % 3
    found = suspected(labels, answers(TRUE))
    assert np.flatnonzero(found).tolist() == SWAPPED
    assert suggested(labels, answers(TRUE))[SWAPPED].tolist() == TRUE[SWAPPED].tolist()
    assert set(np.argsort(margin(labels, answers(TRUE)))[:2]) == set(SWAPPED)


def test_right_labels_are_not_suspected() -> None:
    assert not suspected(TRUE, answers(TRUE)).any()


def test_a_model_that_is_unsure_of_a_class_needs_less_to_suspect_it() -> None:
    """Thresholds are of each class: the average over those labelled so, not one half."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.6, 0.4], [0.52, 0.48]])
    labels = np.array([0, 0, 0, 1, 1])
    assert suspected(labels, probabilities).tolist() == [False, False, True, False, False]
    assert suggested(labels, probabilities).tolist() == [0, 0, 1, -1, 1]


def test_a_class_without_images_is_never_suggested() -> None:
    probabilities = np.array([[0.2, 0.1, 0.7], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert (suggested(np.array([0, 0, 1]), probabilities) != 2).all()
