from typing import Any

import pytest

from pipelines.features import texture
from pipelines.profile.shift import shift


def statistics(histogram: list[float], **means: float) -> dict[str, Any]:
    moments = {name: {"mean": means.get(name, 1.0), "std": 2.0} for name in texture.NAMES}
    return {"images": 5, "grey_histogram": histogram, "texture": moments}


def test_the_same_images_have_not_moved() -> None:
    found = shift(statistics([0.5, 0.5, 0]), statistics([0.5, 0.5, 0]))
    assert found is not None
    assert (found.shades, found.moved) == (0, 0)


def test_the_feature_that_moved_most_is_named_with_its_direction() -> None:
    found = shift(statistics([1, 0, 0]), statistics([0, 1, 0], entropy=-4.0, contrast=3.0))
    assert found is not None
    assert found.shades == pytest.approx(1)
    assert found.feature == "entropy"
    assert found.moved == pytest.approx(-2.5)


def test_a_feature_without_any_spread_does_not_count() -> None:
    reference = statistics([1, 0])
    reference["texture"]["energy"]["std"] = 0.0
    found = shift(reference, statistics([1, 0], energy=9.0, asm=1.5))
    assert found is not None
    assert found.feature == "asm"


@pytest.mark.parametrize("empty", [0, 1])
def test_nothing_is_compared_with_no_images(empty: int) -> None:
    pair: list[dict[str, Any]] = [statistics([1.0]), statistics([1.0])]
    pair[empty] = {"images": 0}
    assert shift(*pair) is None
