"""Studies from the command line: slips are told at once, and results are shown as tables."""

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.cli.studies import show_curve, show_folds, show_search
from pipelines.errors import NotFound, SpecError
from pipelines.evaluation.metrics import OVERALL
from pipelines.settings import Settings
from pipelines.studies.cross_validation import CrossValidation
from pipelines.studies.judged import Judged
from pipelines.studies.learning_curve import LearningCurve
from pipelines.studies.trial import Execution, Trial
from pipelines.studies.tune import Tuned

COMMANDS = ("tune", "learning-curve", "cross-validate")


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_candidate_that_does_not_exist_is_told_before_anything_is_prepared(command: str) -> None:
    result = CliRunner().invoke(app, [command, "phantom", "small-cnn-tuned2"])

    assert isinstance(result.exception, SpecError)
    assert "small-cnn-tuned2" in str(result.exception)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_images_there_is_nothing_to_ask(command: str, installation: Settings) -> None:
    result = CliRunner().invoke(app, [command, "phantom", "small-cnn-tuned"])

    assert isinstance(result.exception, NotFound)
    assert not list(installation.home.glob("**/studies/*"))


def test_the_best_trial_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    losses = {"complete": [[0.9, 0.5], [0.7]], "pruned": [[0.1]]}
    trials = [
        Trial(
            number=number,
            run_id=f"run-{number}",
            settings={"dropout": number / 10},
            state=state,
            executions=[Execution(losses=losses, accuracies=[0.5] * len(losses))],
            seconds=1,
        )
        for number, (state, losses) in enumerate(
            (state, execution) for state, parts in losses.items() for execution in parts
        )
    ]

    show_search("phantom", _tuned(trials))

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["0", "1", "2"]
    assert lines[2].split() == ["0", "0", "0.5", "0.5", "2", "complete"]
    assert "trial 0 is followed" in lines[5]


def test_a_curve_is_shown_with_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    curve = LearningCurve.model_validate(
        {
            "run_id": "run-1",
            "candidate": "tiny",
            "figure": "macro_f1",
            "repeats": 5,
            "sizes": [
                {
                    "share": share,
                    "trained": [_judged(images)] * 5,
                    "images": images,
                    "value": value,
                    "interval": interval,
                }
                for share, images, value, interval in (
                    (0.5, 120, 0.8, (0.7, 0.9)),
                    (1.0, 1240, 0.9, (0.85, 0.95)),
                )
            ],
            "exponent": 0.3,
            "exponent_interval": (0.1, 0.5),
            "doubled": 2480,
            "value_if_doubled": (0.91, 0.96),
        }
    )

    show_curve("phantom", curve)

    said = " ".join(capsys.readouterr().out.split())
    assert "100% 1,240 0.900 0.850 to 0.950" in said
    assert "between 0.910 and 0.960, if it goes on" in said


def test_folds_are_shown_with_their_spread(capsys: pytest.CaptureFixture[str]) -> None:
    folds = [_judged(100, value) for value in (0.8, 0.9)]
    found = CrossValidation(
        run_id="run-1",
        candidate="tiny",
        folds=2,
        repeats=1,
        trained=folds,
        means=dict.fromkeys(OVERALL, 0.85),
        intervals=dict.fromkeys(OVERALL, (0.75, 0.95)),
    )

    show_folds("phantom", found)

    assert "accuracy 0.850 0.750 to 0.950 0.800 0.900" in " ".join(capsys.readouterr().out.split())


def _tuned(trials: list[Trial]) -> Tuned:
    return Tuned(run_id="run", candidate="tiny", search="hyperband", trials=trials, best=0)


def _judged(images: int, value: float = 0.9) -> Judged:
    return Judged(
        run_id="run",
        images=images,
        held_out=20,
        epochs=3,
        best_epoch=2,
        seconds=1,
        figures=dict.fromkeys(OVERALL, value),
    )
