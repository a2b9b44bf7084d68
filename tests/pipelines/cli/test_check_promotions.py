"""What was promoted is checked from the command line, and the status tells of it."""

import pytest
from typer.testing import CliRunner

from pipelines import loop
from pipelines.cli.app import app
from pipelines.cli.status import _since_promotion
from pipelines.errors import TrackingUnavailable
from pipelines.release.promotions import Promotion, note
from pipelines.stage import Context

PROMOTION = Promotion(dataset="phantom", version=2, previous=1)


def test_one_data_set_that_cannot_be_checked_keeps_no_other_from_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PROMOTION.model_copy(update={"dataset": "brain_mri"})
    for promotion in (PROMOTION, other):
        note(context.settings, promotion)

    def check(dataset: str) -> Promotion:
        if dataset == "brain_mri":
            raise TrackingUnavailable("MLflow does not answer")
        return PROMOTION

    monkeypatch.setattr(loop, "check_promotion", check)
    result = CliRunner().invoke(app, ["check-promotions"])

    assert result.exit_code == 1
    assert "phantom version 2: watched, not worse so far" in result.output


@pytest.mark.parametrize(
    ("changes", "version", "told"),
    [
        ({}, 2, ", watched since"),
        ({"outcome": "not worse in 24 h: 100 answers, 60 before"}, 2, ""),
        ({"reasons": ("errors",), "outcome": "x"}, 1, ", as version 2 was rolled back (errors)"),
        ({"reasons": ("errors",), "outcome": "x"}, 3, ""),
    ],
)
def test_the_status_tells_what_became_of_a_promotion(
    context: Context, changes: dict[str, object], version: int, told: str
) -> None:
    note(context.settings, PROMOTION.model_copy(update=changes))

    said = _since_promotion("phantom", version)
    assert said.startswith(told) if told else said == ""


def test_a_note_that_is_damaged_ends_nothing(context: Context) -> None:
    note(context.settings, PROMOTION)
    (context.settings.home / "promotions" / "phantom.json").write_text("{")

    assert CliRunner().invoke(app, ["check-promotions"]).exit_code == 0
    assert _since_promotion("phantom", 2) == ""
