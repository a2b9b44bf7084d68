"""A person between gate and promotion: what is asked, and what an answer leaves behind."""

from datetime import UTC, datetime

import pytest

from pipelines.outputs import Answer, Challenger, Evaluated, Question, Verdict
from pipelines.release import approval, refusals, registry
from pipelines.release.approval import Response
from pipelines.release.report import place
from pipelines.settings import Settings
from pipelines.tracking import versions
from tests.pipelines.release.installation import Installation, install
from tests.pipelines.tracked import brightness_model

LENIENT = {
    "max_sensitivity_drop": 1.0,
    "max_metric_drop": 1.0,
    "min_informedness": None,
    "max_ece": None,
    "min_inside_body": None,
}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def installed(mlflow_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """No candidate yet."""
    return install(mlflow_server, tmp_path_factory.mktemp("approval"), "approved")


@pytest.fixture(scope="module")
def first(installed: Installation) -> Verdict:
    """On the first version, which is always right."""
    return installed.judge(installed.select(installed.candidate("champion")))


@pytest.fixture(scope="module")
def here(installed: Installation, first: Verdict) -> Installation:
    """A champion that is always right."""
    registry.promote(installed.context, installed.name, first.version)
    return installed


@pytest.fixture(scope="module")
def worse(here: Installation) -> Evaluated:
    return here.candidate("worse", brightness_model(threshold=300))


@pytest.fixture
def challenger(here: Installation, worse: Evaluated) -> Challenger:
    """A version that nobody has answered for."""
    made = here.select(worse)
    answers = {"medloop.approval", "medloop.refused", "medloop.rejected"} & set(tags(here, 2))
    versions.untag(here.tracking, here.name, made.version, names=sorted(answers))
    return made


@pytest.fixture
def asked(here: Installation, challenger: Challenger) -> Question:
    return approval.question(here.spec, here.context, here.judge(challenger, **LENIENT))


def answered(here: Installation, asked: Question, choice: str, by: str | None, note: str) -> Answer:
    user = {"id": by, "name": by} if by else None
    response = Response.model_validate(
        {
            "chosen_options": [choice],
            "params_input": {"note": note},
            "responded_at": NOON,
            "responded_by_user": user,
        }
    )
    return approval.settle(here.spec, here.context, asked, response)


def tags(here: Installation, version: int) -> dict[str, str]:
    return dict(versions.named(here.tracking, here.name, version).tags)


def test_the_question_shows_the_champions_figures_beside_the_challengers(asked: Question) -> None:
    assert asked.subject.endswith("may version 2 replace version 1?")
    assert "| accuracy | 0.5000 | 1.0000 | -0.5000 (-" in asked.body
    assert "| accuracy is at least 0.1 | 0.5000 (0." in asked.body
    assert "on 8 test images that it was not trained on" in asked.body
    assert "/#/models/approved/versions/2" in asked.body


def test_the_first_version_has_nobody_beside_it(installed: Installation, first: Verdict) -> None:
    asked = approval.question(installed.spec, installed.context, first)

    assert asked.subject.endswith("may version 1 serve, as the first?")
    assert "there is no champion to compare with" in asked.body


def test_a_rejection_is_kept_with_the_version_and_nobody_is_asked_again(
    here: Installation, challenger: Challenger, asked: Question
) -> None:
    answer = answered(here, asked, "Reject", "radiologist", "misses small ones")

    assert answer.told == "rejected by radiologist, 2026-11-21 12:00 UTC: misses small ones"
    assert tags(here, 2)["medloop.approval"] == tags(here, 2)["medloop.refused"] == answer.told
    assert versions.holder(here.tracking, here.name, "challenger") is None
    page = here.tracking.download(
        challenger.run_id, place(2, "report.html"), target=here.context.settings.home
    )
    shown = page.read_text("utf-8")
    assert "rejected by radiologist" in shown
    assert "<td>sensitivity of bright</td><td>McNemar</td><td>-1.000 (" in shown

    again = here.judge(challenger, **LENIENT)
    assert not again.passed
    assert "no person has rejected it (rejected by radiologist" in again.refusals[0]


def test_a_later_yes_takes_the_no_back(
    here: Installation, challenger: Challenger, asked: Question
) -> None:
    answered(here, asked, "Reject", "radiologist", "")
    answer = answered(here, asked, "Approve", "chief", "looked again")

    assert answer.approved
    assert tags(here, 2)["medloop.approval"] == answer.told
    assert not {"medloop.refused", "medloop.rejected"} & set(tags(here, 2))
    assert here.judge(challenger, **LENIENT).passed


def test_no_answer_is_a_no_but_the_next_run_asks_again(
    here: Installation, challenger: Challenger, asked: Question
) -> None:
    answer = answered(here, asked, "Reject", None, "")

    assert not answer.approved
    assert answer.told == "nobody approved it by 2026-11-21 12:00 UTC"
    assert here.judge(challenger, **LENIENT).passed


def test_people_are_told_what_was_refused_and_how_to_overrule(
    here: Installation, asked: Question, challenger: Challenger
) -> None:
    settings = here.context.settings
    verdict: Verdict = here.judge(challenger)

    by_gate = refusals.by_gate(settings, verdict)
    by_nobody = refusals.by_person(settings, answered(here, asked, "Reject", None, ""))

    assert by_gate.subject == by_nobody.subject == "version 2"
    assert "Version 1 goes on" in by_gate.text
    assert all(reason in by_gate.text for reason in verdict.refusals)
    assert "medloop promote approved 2" in by_nobody.text
    assert by_nobody.severity == "warning"
