import pytest

from benchmarks.handmade import candidates, line, main, measured
from pipelines.stage import Context
from tests.pipelines.data.small_collection import small_spec
from tests.pipelines.tracked import prepare_small


def test_a_line_tells_the_figures_on_both_held_out_splits(context: Context) -> None:
    spec = small_spec()
    [candidate] = [c for c in candidates("efficientnet_lite0") if c.name == "texture-published"]
    done, found = measured(spec, context, prepare_small(context, spec), candidate)
    _, name, penalty, validation, accuracy, *_ = (
        cell.strip() for cell in line(candidate, done, found).split("|")
    )
    assert (name, penalty) == ("texture-published", "0.05, 0.3")
    assert float(validation) == pytest.approx(found["validation"].figures["accuracy"], abs=1e-3)
    low, high = found["test"].intervals["accuracy"]
    assert accuracy == f"{found['test'].figures['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def test_each_kind_of_features_is_tried_as_published_and_tuned() -> None:
    names = [candidate.name for candidate in candidates("efficientnet_lite0")]
    kinds = ("pixels", "texture", "deep")
    assert names == [f"{kind}-{form}" for kind in kinds for form in ("published", "tuned")]


@pytest.mark.usefixtures("installation")
def test_a_training_set_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemExit, match="no training set phantom/training_sets/none"):
        main(["phantom", "--prepared", "none"])
