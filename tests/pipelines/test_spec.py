"""What a spec file may say, and how what it may not say is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.errors import SpecError
from pipelines.settings import get_settings
from pipelines.spec import invalid_specs, load_spec, read_spec, spec_names

MINIMAL: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "source": {"origin": "nobody", "licence": "CC0-1.0", "consent": "none"},
    "classes": [{"name": "a", "title": "A"}, {"name": "b", "title": "B", "labels": ["x", "y"]}],
    "candidates": [{"name": "c", "model": "strided_cnn", "recipe": "scratch", "weights": None}],
}


def learning(**fields: Any) -> dict[str, Any]:
    """The one candidate, trained in another way."""
    return {"candidates": [MINIMAL["candidates"][0] | fields]}


def read(tmp_path: Path, **changes: Any) -> Any:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(MINIMAL | changes))
    return read_spec(file)


def test_every_shipped_spec_loads() -> None:
    assert set(spec_names()) >= {"phantom", "brain_mri", "chest_xray", "skin_lesion"}
    for name in spec_names():
        assert load_spec(name).name == name


@pytest.mark.parametrize("name", spec_names())
def test_every_shipped_class_is_explained_with_sources_and_what_to_do(name: str) -> None:
    for found in load_spec(name).classes:
        assert len(found.about) > 50, found.name
        assert found.recommendations, found.name
        assert found.sources, found.name


def test_a_source_without_a_safe_address_is_refused(tmp_path: Path) -> None:
    source = {"title": "A paper", "url": "javascript:alert(1)"}
    classes = [{"name": "a", "title": "A", "sources": [source]}, {"name": "b", "title": "B"}]
    with pytest.raises(SpecError, match=r"classes\.0\.sources\.0\.url"):
        read(tmp_path, classes=classes)


def test_labels_map_to_classes_in_the_order_of_the_file(tmp_path: Path) -> None:
    spec = read(tmp_path)

    assert spec.class_names == ("a", "b")
    assert spec.class_of_label == {"a": "a", "x": "b", "y": "b"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"clases": []}, ["unknown field 'clases'", "classes"]),
        ({"image": {"sise": 64}}, ["unknown field 'image.sise'", "64", "resize, size"]),
        ({"image": {"size": 100}}, ["image.size", "100", "multiple of 32"]),
        ({"abstention": {"min_confidence": 60}}, ["abstention.min_confidence", "60"]),
        ({"abstention": {"false_alarms": 0}}, ["abstention.false_alarms", "0"]),
        ({"review": {"possible": 1}}, ["unknown field 'review.possible'", "possible_finding"]),
        (
            {"operating": {"finding_sensitivity": 0.99}},
            ["operating.finding_sensitivity", "finding: false"],
        ),
        (
            {"operating": {"finding_sensitivity": 0.9, "finding_threshold": 0.2}},
            ["operating", "name one of them"],
        ),
        ({"operating": {"youden": True, "cost_ratio": 9}}, ["cost_ratio and youden both say"]),
        ({"operating": {"finding_sensitivity": 99}}, ["operating.finding_sensitivity", "99"]),
        ({"operating": {"finding_specificity": 1}}, ["operating.finding_specificity", "1"]),
        ({"operating": {"cost_ratio": 0}}, ["operating.cost_ratio", "0"]),
        ({"operating": {"youden": True}}, ["operating.youden", "finding: false"]),
        ({"operating": {"thresholds": {"a": 0.2}}}, ["no threshold for 'b'", "each of a, b"]),
        ({"operating": {"thresholds": {"a": 0.2, "z": 0.2}}}, ["operating.thresholds", "'z'"]),
        (
            {"classes": [{"name": n, "title": n} for n in ("any_finding", "none")]},
            ["any_finding", "means all findings"],
        ),
        ({"image": {"size": 4096}}, ["image.size", "4096", "1024"]),
        ({"image": {"crop": "head"}}, ["image.crop", "'none', 'body' or 'lesion'", "head"]),
        (
            {"image": {"crop": "lesion"}},
            ["image.crop: lesion needs masks", "landing.masks: masks/{stem}.png"],
        ),
        ({"title": None}, ["title", "None"]),
        ({"classes": MINIMAL["classes"][:1]}, ["classes", "at least 2"]),
        ({"classes": MINIMAL["classes"] * 2}, ["classes.name holds 'a' twice"]),
        ({"gate": {"minimum": {"acuracy": 0.9}}}, ["gate.minimum.acuracy", "'accuracy'"]),
        ({"gate": {"minimum_sensitivity": {"z": 0.5}}}, ["'z'", "not a class", "a, b"]),
        ({"split": {"test": 0.9}}, ["split.test", "0.9", "less than 0.5"]),
        ({"landing": {"group_pattern": "(a"}}, ["landing.group_pattern", "not a regular"]),
        ({"landing": {"group_pattern": "a"}}, ["landing.group_pattern", "(?P<group>"]),
        ({"landing": {"label_pattern": "(?P<group>a)"}}, ["landing.label_pattern", "(?P<label>"]),
        ({"landing": {"metadata_pattern": "a"}}, ["landing.metadata_pattern", "each field"]),
        ({"landing": {"splits": {"val": "val"}}}, ["landing.splits", "'validation'"]),
        ({"landing": {"marker": "done/_SUCCESS"}}, ["landing.marker", "a file's name"]),
        ({"landing": {"marker": "*"}}, ["landing.marker", "without folder and wildcards"]),
        ({"landing": {"quiet_seconds": 0}}, ["landing.quiet_seconds", "greater than 0"]),
        (
            {"candidates": [{"name": "c", "model": "m", "recipe": "frozen", "weights": None}]},
            ["candidates.0", "needs pretrained weights", "scratch"],
        ),
        (
            {"candidates": [{"name": "c", "model": "m", "recipe": "frozen", "augment": "light"}]},
            ["candidates.0", "cannot augment", "finetune"],
        ),
        (learning(focal_gamma=2), ["candidates.0", "focal_gamma", "'loss: focal' only"]),
        (learning(momentum=0.9), ["candidates.0", "momentum", "'optimizer: sgd' only"]),
        (
            learning(schedule="cosine", plateau_patience=3),
            ["candidates.0", "plateau_patience", "'schedule: plateau' only"],
        ),
        (learning(warmup_epochs=5, epochs=5), ["candidates.0", "warmup_epochs is 5", "5 epochs"]),
        (learning(members=["x", "y"]), ["candidates.0", "recipe 'ensemble' and 'members"]),
        (learning(recipe="ensemble", model="ensemble"), ["candidates.0", "go together"]),
        (
            learning(recipe="ensemble", members=["x", "y"]),
            ["candidates.0", "and 'model: ensemble' go together"],
        ),
        (
            learning(recipe="ensemble", model="ensemble", members=["x", "y"], weights="imagenet"),
            ["candidates.0", "write 'weights: null'"],
        ),
        (
            learning(recipe="ensemble", model="ensemble", members=["c", "y"]),
            ["'c' names 'c'", "no candidate listed before it"],
        ),
        (
            learning(recipe="frozen", weights="imagenet", teachers=["x"]),
            ["candidates.0", "teachers answer for augmented images"],
        ),
        (learning(mixup=-1), ["candidates.0.mixup", "-1"]),
        (learning(balance="source"), ["candidates.0.balance", "source_sampling"]),
        (learning(class_weights=True), ["unknown field 'candidates.0.class_weights'"]),
        ({"name": "other"}, ["name", "'other'", "'tiny'"]),
    ],
)
def test_a_mistake_names_file_field_value_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, Any], says: list[str]
) -> None:
    with pytest.raises(SpecError) as error:
        read(tmp_path, **changes)

    for part in ["tiny.yaml", *says]:
        assert part in str(error.value)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in MINIMAL.items() if k != "source"}))

    with pytest.raises(SpecError, match="field 'source' is missing"):
        read_spec(file)


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", ""])
def test_a_file_that_holds_no_fields_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(text)

    with pytest.raises(SpecError, match=r"tiny\.yaml"):
        read_spec(file)


def test_an_unknown_data_set_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"brain_mri.*phantom"):
        load_spec("knee_mri")


def test_an_unknown_candidate_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'d'; it has c"):
        read(tmp_path).candidate("d")


def test_each_invalid_file_is_found_whatever_is_wrong_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path))
    get_settings.cache_clear()
    daily, never = ({"retrain": {"schedule": text}} for text in ("@quarterly", "0 0 31 2 *"))
    contents = {
        "good": yaml.safe_dump(MINIMAL | daily | {"name": "good"}).encode(),
        "yaml": b"name: [",
        "deep": b"[" * 5000,
        "empty": b"",
        "bytes": b"\xff\xfe\x00",
        "field": yaml.safe_dump(MINIMAL | {"clases": []}).encode(),
        "clock": yaml.safe_dump(MINIMAL | never | {"name": "clock"}).encode(),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.yaml").write_bytes(content)
    (tmp_path / "folder.yaml").mkdir()

    errors = {name: str(error) for name, error in invalid_specs().items()}

    assert errors.keys() == {*contents, "folder"} - {"good"}
    assert all(f"{name}.yaml" in error for name, error in errors.items())
    assert "retrain.schedule: not a cron expression that ever comes due" in errors["clock"]
