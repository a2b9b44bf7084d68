"""Images of one origin are brought together, whatever they show."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from pipelines.data.split.source_clusters import MOST_SOURCES, source_clusters

TRACES = 12


def origins(*sizes: int, apart: float = 6.0, seed: int = 0) -> tuple[list[list[float]], list[int]]:
    """Traces of pictures from several origins, shuffled, and which origin each has."""
    drawn = np.random.default_rng(seed)
    centres = drawn.normal(0, apart, (len(sizes), TRACES))
    origin = drawn.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (centres[origin] + drawn.normal(0, 1, (len(origin), TRACES))).tolist(), origin.tolist()


def counts(found: NDArray[np.int32]) -> list[int]:
    return [int(count) for count in np.bincount(found)]


def test_each_origin_becomes_a_source_numbered_by_its_size() -> None:
    traces, origin = origins(60, 180, 110)
    found = source_clusters(traces, seed=1)
    assert adjusted_rand_score(origin, found) == 1
    assert counts(found) == [0, 180, 110, 60]


def test_one_origin_is_one_source() -> None:
    traces, _ = origins(150)
    assert set(source_clusters(traces, seed=1)) == {1}


def test_the_same_seed_finds_the_same() -> None:
    traces, _ = origins(75, 75, apart=1.0)
    np.testing.assert_array_equal(source_clusters(traces, seed=3), source_clusters(traces, seed=3))


def test_images_without_traces_are_of_no_known_source() -> None:
    traces, _ = origins(120, 60)
    found = source_clusters([None, *traces, None], seed=1)
    assert (found[0], found[-1]) == (0, 0)
    np.testing.assert_array_equal(found[1:-1], source_clusters(traces, seed=1))
    assert source_clusters([None, None], seed=1).tolist() == [0, 0]
    assert source_clusters([], seed=1).tolist() == []


def test_few_images_are_not_cut_apart() -> None:
    traces, _ = origins(20, 20)
    assert set(source_clusters(traces, seed=1)) == {1}


def test_traces_that_are_the_same_everywhere_say_nothing() -> None:
    assert set(source_clusters([[7.0] * TRACES] * 200, seed=1)) == {1}


def test_there_are_never_more_than_a_person_can_look_at() -> None:
    traces, _ = origins(*[60] * (MOST_SOURCES + 3), apart=20.0)
    assert 2 <= source_clusters(traces, seed=1).max() <= MOST_SOURCES


def test_one_picture_without_a_usable_trace_is_unknown_and_spoils_no_other() -> None:
    traces, _ = origins(120, 60)
    for bad in (float("nan"), float("inf")):
        broken = [*traces, [*traces[0][:-1], bad]]
        found = source_clusters(broken, seed=1)
        assert found[-1] == 0
        np.testing.assert_array_equal(found[:-1], source_clusters(traces, seed=1))
