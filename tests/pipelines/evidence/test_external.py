"""A candidate is judged on collections from elsewhere, which nothing is trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.data import external
from pipelines.errors import LandingError, SpecError
from pipelines.evaluation.decisions import Decisions
from pipelines.evidence import external as evidence
from pipelines.evidence.subject import Subject
from pipelines.imaging import decode
from pipelines.imaging.perceptual import thumbnail
from pipelines.spec import DatasetSpec
from pipelines.stage import Context
from tests.pipelines.data.small_collection import CLASSES, Row, images, small_spec
from tests.pipelines.evidence.small_subjects import small_subject

ELSEWHERE = {
    "name": "elsewhere",
    "title": "Another hospital",
    "source": {"origin": "Drawn by a test", "licence": "CC0-1.0", "consent": "Not needed"},
    "labels": {"dark": ["night"], "bright": ["day"]},
}


def spec(**changes: Any) -> DatasetSpec:
    return small_spec(external=[ELSEWHERE | changes])


def picture(shade: int, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(-20, 20, (64, 64, 3))
    return Image.fromarray(np.clip(shade + noise, 0, 255).astype(np.uint8))


def landing(folder: Path, **counts: int) -> Path:
    """``day`` and ``night`` pictures, in folders."""
    shades = {"day": 220, "night": 30}
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            seed = 1000 * shades[label] + number
            picture(shades[label], seed).save(folder / label / f"{number}.png")
    return folder


def ours() -> list[Row]:
    """The data set's own images, with thumbnails."""
    rows = images(20)
    for row in rows:
        row["thumbnail"] = thumbnail(decode(row["content"]))
    return rows


@pytest.fixture
def subject(context: Context, tmp_path: Path) -> Subject:
    return small_subject(context, tmp_path, spec=spec(), rows=ours())


def test_a_collection_that_was_never_ingested_is_said_to_be_unknown(
    subject: Subject, tmp_path: Path
) -> None:
    finding = evidence.look(subject, tmp_path)
    assert finding is not None
    assert finding.figures == {}
    assert finding.warnings == ("Another hospital was never ingested, so nothing is known of it.",)


def test_its_labels_are_told_in_our_classes_and_each_figure_has_an_interval(
    subject: Subject, context: Context, tmp_path: Path
) -> None:
    folder = landing(tmp_path / "theirs", day=6, night=6)
    (folder / "day" / "0.png").replace(folder / "night" / "mislabelled.png")
    snapshot = external.run(subject.spec, context, "elsewhere", str(folder))
    assert snapshot.dataset == f"{subject.spec.name}_elsewhere"

    finding = evidence.look(subject, tmp_path)

    assert finding is not None
    assert finding.figures["elsewhere.accuracy"] == pytest.approx(11 / 12)
    assert finding.figures["elsewhere.sensitivity.bright"] == 1
    assert finding.figures["elsewhere.sensitivity.dark"] == pytest.approx(6 / 7)
    low, high = finding.intervals["elsewhere.accuracy"]
    assert low < 11 / 12 < high
    assert "0.917" in finding.said[0]
    assert (tmp_path / "external_elsewhere.png").stat().st_size > 5_000


def test_pictures_that_we_hold_too_are_left_out_byte_for_byte_or_saved_again(
    subject: Subject, context: Context, tmp_path: Path
) -> None:
    folder = landing(tmp_path / "theirs", day=4, night=4)
    known = next(row for row in ours() if row["label"] == "bright")
    (folder / "day" / "copied.png").write_bytes(known["content"])
    external.run(subject.spec, context, "elsewhere", str(folder))

    finding = evidence.look(subject, tmp_path)

    assert finding is not None
    assert "on 8 images; 1 that this data set holds too" in finding.said[0]


def test_a_collection_without_one_of_our_classes_has_the_figures_that_remain() -> None:
    three = [*CLASSES, "grey"]
    classes = [{"name": name, "title": name} for name in three]
    changed = small_spec(external=[ELSEWHERE], classes=classes)
    theirs = external.spec_of(changed, changed.external[0])
    assert theirs.class_names == CLASSES
    said = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    asked = evidence.Asked(
        labels=np.array([0, 0, 1]),
        answers=Decisions.by_likeliest(said, tuple(three)),
        groups=["a", "b", "c"],
        known=0,
    )
    values, limits = evidence.measure(asked, findings=(), seed=1)
    assert values["accuracy"] == pytest.approx(2 / 3)
    assert values["sensitivity.bright"] == 0.5
    assert set(values) == set(limits) == {"accuracy", "sensitivity.bright", "sensitivity.dark"}


def test_nothing_of_it_is_among_the_data_sets_own_images(
    subject: Subject, context: Context, tmp_path: Path
) -> None:
    before = context.store.names(f"{subject.spec.name}/snapshots")
    external.run(subject.spec, context, "elsewhere", str(landing(tmp_path / "t", day=2, night=2)))
    assert context.store.names(f"{subject.spec.name}/snapshots") == before


def test_other_labels_than_the_spec_names_are_refused(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "wrong" / "noon").mkdir(parents=True)
    picture(100, 1).save(tmp_path / "wrong" / "noon" / "1.png")
    with pytest.raises(LandingError, match="has no images of class bright, dark"):
        external.run(subject.spec, subject.context, "elsewhere", str(tmp_path / "wrong"))


def test_a_collection_the_spec_does_not_name_is_refused(subject: Subject) -> None:
    with pytest.raises(SpecError, match="no external collection 'other'; it names elsewhere"):
        external.run(subject.spec, subject.context, "other", "/nowhere")


@pytest.mark.parametrize(
    ("labels", "says"),
    [({"bright": ["day"]}, "two classes"), ({"dusk": ["a"], "dark": ["b"]}, "'dusk'")],
)
def test_labels_must_tell_our_classes_apart(labels: dict[str, list[str]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        spec(labels=labels)
