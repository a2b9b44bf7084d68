"""Every kind of evidence counts what the service decides, not the likeliest class."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.evidence import abstention, labels, leaks, mistakes, subgroups
from pipelines.evidence.sample import draw_sample
from pipelines.evidence.subject import Subject
from pipelines.stage import Context
from tests.pipelines.evidence.answered_subjects import answered_subject, collection, knowing


@pytest.fixture
def subject(context: Context) -> Subject:
    """A candidate whose threshold of 0.02 calls many images a finding that are not likely one."""
    rows = collection(60, sex=lambda number: "fm"[number % 2])
    careful = {"finding_threshold": 0.02}
    return answered_subject(context, rows, lambda asked: knowing(asked), operating=careful)


def test_right_and_wrong_are_counted_by_the_thresholds(subject: Subject, tmp_path: Path) -> None:
    truth, served = subject.labels("test"), subject.answers("test")
    right, argmax = served.right(truth), served.likeliest.right(truth)
    assert right.sum() != argmax.sum()
    accuracy = right.mean()

    found = {
        "mistakes": 1 - mistakes.look(subject, tmp_path).figures["count"] / len(truth),
        "labels": labels.look(subject, tmp_path).figures["accuracy"],
        "abstention": abstention.look(subject, tmp_path).figures["accuracy_at_1"],
    }
    assert found == pytest.approx(dict.fromkeys(found, accuracy))

    gap = leaks.look(subject, tmp_path).figures["test_minus_validation"]
    validation = subject.answers("validation").right(subject.labels("validation"))
    assert gap == pytest.approx(accuracy - validation.mean())

    divided = subgroups.look(subject, tmp_path)
    assert divided is not None
    whole = divided.tables[0].rows[0]
    assert whole[0] == subgroups.WHOLE
    assert str(whole[3]).startswith(f"{accuracy:.3f} ")


def test_heat_maps_are_drawn_of_the_class_that_is_served(subject: Subject) -> None:
    sample = draw_sample(subject, 1000)

    served = subject.answers("test")
    assert sorted(sample.decided) == sorted(served.decided)
    assert sample.called.sum() == np.isin(served.names, subject.spec.findings).sum()
    assert (subject.of("test")["predicted"].to_numpy() == served.names).all()


def test_logits_asked_anew_are_decided_as_the_recorded_ones(subject: Subject) -> None:
    columns = [f"logit.{name}" for name in subject.classes]

    again = subject.decide(subject.of("test")[columns].to_numpy(np.float32))

    assert (again.decided == subject.answers("test").decided).all()
    assert again.certainty == pytest.approx(subject.answers("test").certainty, abs=1e-5)
