"""The gate refuses models that were built to be bad, one for each way in which it claims to see."""

from dataclasses import dataclass
from pathlib import Path

import keras
import pytest

from pipelines.errors import NotFound
from pipelines.outputs import RuleResult, Verdict
from pipelines.release.card.publish import fetch_pages, read
from pipelines.settings import Settings
from tests.pipelines.data.small_collection import Row
from tests.pipelines.release.bad_models import SIDE, blank, faded, learn, marked, mirrored, scans
from tests.pipelines.release.installation import Installation, install
from tests.pipelines.tracked import spec_of

CALIBRATION = "calibration error of the test set is at most 0.1"
LEAK = "share of test images that training shows too is at most 0"
LOST = "informedness of bright is at least 0.1, and surely above 0"
BACKGROUND = "agreement with its own answers where the body is blanked is at most 0.6"
OUTSIDE = "share of the heat on the body is at least 0.5"


@dataclass(frozen=True)
class Court:
    """Brings candidates before the gate, each on a data set of its own."""

    server: Settings
    folder: Path

    def judge(self, name: str, rows: list[Row], model: keras.Model) -> Verdict:
        """Evaluate, select and judge a model on ``rows``."""
        here = self.install(name, rows)
        return here.judge(here.select(here.candidate(name, model)))

    def install(self, name: str, rows: list[Row]) -> Installation:
        spec = spec_of(name, image={"size": SIDE})
        return install(self.server, self.folder / name, name, rows=rows, spec=spec)


@pytest.fixture(scope="module")
def court(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Court:
    return Court(mlflow_server, tmp_path_factory.mktemp("court"))


@pytest.fixture(scope="module")
def honest() -> keras.Model:
    """A network that has learnt the spot in the body."""
    return learn(scans())


def broken(verdict: Verdict) -> dict[str, RuleResult]:
    return {rule.rule: rule for rule in verdict.rules if not rule.passed}


def test_an_honest_model_passes_every_rule_and_gets_a_card(
    court: Court, honest: keras.Model, tmp_path: Path
) -> None:
    here = court.install("honest", scans())
    challenger = here.select(here.candidate("honest", honest))

    verdict = here.judge(challenger)

    assert verdict.refusals == []
    assert {CALIBRATION, LEAK, LOST, BACKGROUND, OUTSIDE} <= {rule.rule for rule in verdict.rules}
    card = read(here.context, here.name, challenger.version)
    assert "# Model card: Small, version 1" in card
    assert "passed the gate on 16 test images" in card
    assert f"| {LEAK} | 0.0000 | 0 | kept |" in card
    assert "Intended use: Not known." in card
    pages = fetch_pages(here.context, here.name, challenger.version, target=tmp_path)
    assert [page.name for page in pages] == ["honest-v1-evaluation.html", "honest-v1-card.html"]
    assert "evaluation of honest</h1>" in pages[0].read_text("utf-8")
    with pytest.raises(NotFound, match="honest has no champion yet"):
        read(here.context, here.name)


def test_a_model_that_has_seen_test_images_mirrored_is_refused(
    court: Court, honest: keras.Model
) -> None:
    rows = scans()
    seen = [mirrored(row) for row in rows if row["split"] == "test"][:5]

    verdict = court.judge("leaky", rows + seen, honest)

    assert broken(verdict).keys() == {LEAK}
    assert broken(verdict)[LEAK].value == pytest.approx(5 / 16)
    assert "its figures say nothing of new patients" in verdict.refusals[0]


def test_a_model_that_answers_from_a_mark_whatever_the_body_shows_is_refused(court: Court) -> None:
    rows = scans(change=marked, lesions=faded)

    verdict = court.judge("shortcut", rows, learn(rows))

    assert broken(verdict).keys() == {BACKGROUND}
    assert broken(verdict)[BACKGROUND].value > 0.9
    figures = {rule.rule: rule.value for rule in verdict.rules}
    assert figures["accuracy is at least 0.1"] == 1.0  # no plain figure gives it away


def test_a_model_that_looks_beside_the_body_is_refused(court: Court) -> None:
    rows = scans(change=marked, lesions=blank)

    verdict = court.judge("beside", rows, learn(rows, epochs=25))

    assert OUTSIDE in broken(verdict)
    assert broken(verdict)[OUTSIDE].value < 0.1


def test_a_model_whose_probabilities_do_not_hold_on_test_images_is_refused(
    court: Court, honest: keras.Model
) -> None:
    rows = scans()
    for number, row in enumerate(row for row in rows if row["split"] == "test"):
        if number % 5 < 2:  # sure, and wrong
            row["label"] = "dark" if row["label"] == "bright" else "bright"

    verdict = court.judge("overconfident", rows, honest)

    refusal = broken(verdict)[CALIBRATION]
    assert refusal.low is not None
    assert refusal.low > 0.1
    assert "probabilities do not mean what they say" in refusal.means


def test_a_model_that_has_lost_a_class_is_refused(court: Court) -> None:
    rows = [row for row in scans() if not _scarce(row)]

    verdict = court.judge("lost", rows, learn(rows))

    assert LOST in broken(verdict)
    assert broken(verdict)[LOST].value == 0.0
    assert "confusion matrix" in broken(verdict)[LOST].means


def _scarce(row: Row) -> bool:
    """Whether a row is one of the bright training images that are missing: all but one."""
    return bool(
        row["label"] == "bright"
        and row["split"] == "train"
        and row["source_path"][-7:] != "000.png"
    )
