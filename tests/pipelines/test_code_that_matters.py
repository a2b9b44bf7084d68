"""A change of code makes anew what it touches and nothing else; one of prose makes nothing."""

import sys
from collections.abc import Callable
from functools import partial
from pkgutil import iter_modules
from types import ModuleType

import pytest
from PIL import features

import expectations.images
import expectations.landing
import expectations.prepared
import expectations.snapshot
from pipelines import decoding, imaging, models, reached, stage
from pipelines.data.checks import checks
from pipelines.data.land import opening
from pipelines.data.prepare import prepare
from pipelines.data.split import split
from pipelines.evaluation import evaluate
from pipelines.features.code import features_code
from pipelines.models.code import family_modules
from pipelines.models.families import FAMILIES
from pipelines.profile import look
from pipelines.release import gate, select
from pipelines.scoring import score
from pipelines.segmentation import segment, segmenter
from pipelines.spec import CandidateSpec
from pipelines.training.code import training_code

DECODING = (
    *("codestreams", "decode", "depth", "dicom", "dicom_elements", "dicom_file", "dicom_layout"),
    *("dicom_pixels", "dicom_shades", "dicom_tables", "histogram", "info", "jpeg"),
    *("jpeg_lossless", "raster", "sniff", "tiff_header", "window"),
)
DESCRIBING = ("blank", "kind", "perceptual", "shades", "traces")
IMAGING = (*DECODING, *DESCRIBING)
FITTING = ("body", "box", "fit", "lesion", "tones")
EXAMINING = (
    "data.land.examine",
    "data.land.deidentify",
    "data.land.originals",
    *(f"imaging.{name}" for name in IMAGING),
)
PIXELS = tuple(f"imaging.{name}" for name in (*DECODING, *FITTING))
FITTED = (
    *("training.train", "training.fit", "training.batches", "training.checkpoint"),
    *("data.input.arrays", "data.input.training_set", "training.schedule"),
    *("models.head", "models.registry", "models.weights"),
)
"""What trains every network."""


def candidate(**fields: object) -> CandidateSpec:
    known = {"name": "one", "model": "efficientnet_lite0", "weights": "imagenet"}
    return CandidateSpec.model_validate(known | fields)


def logistic(features: str, model: str = "logistic") -> CandidateSpec:
    weights = "imagenet" if features == "deep" else None
    settings = {"features": features}
    return candidate(recipe="logistic", model=model, weights=weights, logistic=settings)


CANDIDATES = {
    "frozen": candidate(recipe="frozen"),
    "finetune": candidate(recipe="finetune", model="resnet50", poses="mirrored"),
    "scratch": candidate(recipe="scratch", model="strided_cnn", weights=None),
    "student": candidate(recipe="scratch", model="small_cnn", weights=None, teachers=["a", "b"]),
    "ensemble": candidate(recipe="ensemble", model="ensemble", weights=None, members=["a", "b"]),
    "regression on deep features": logistic("deep", "efficientnet_lite0"),
    "regression on texture": logistic("texture"),
}
TRAINS: dict[str, tuple[str, ...]] = {
    "frozen": (
        *(*FITTED, "training.frozen", "features.network", "training.augment"),
        *("models.efficientnet_lite0", "models.torch_file"),
    ),
    "finetune": (
        *(*FITTED, "training.frozen", "training.finetune", "training.pixels", "training.augment"),
        *("models.average", "models.resnet50", "models.applications"),
    ),
    "scratch": (*FITTED, "training.scratch", "training.pixels", "models.strided_cnn"),
    "student": (*FITTED, "training.scratch", "models.average", "models.small_cnn"),
    "ensemble": ("training.train", "models.average", "models.head"),
    "regression on deep features": (
        *("training.logistic", "training.linear", "training.regression_run", "models.head"),
        *("features.network", "features.worker", "evaluation.calibration"),
        *("models.efficientnet_lite0", "models.torch_file", "models.registry"),
    ),
    "regression on texture": (
        *("training.logistic", "training.linear", "training.regression_run"),
        *("features.texture", "features.worker"),
    ),
}
TRAINING: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    f"train {name}": (partial(training_code, CANDIDATES[name]), modules)
    for name, modules in TRAINS.items()
}
MATTERS: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "landing": (opening.examination_version, EXAMINING),
    "split": (
        split._code,
        (
            *(f"data.split.{name}" for name in ("division", "leaks", "source_clusters", "split")),
            *(f"data.duplicates.{name}" for name in ("banded", "banded_spark", "buckets")),
            *(f"data.duplicates.{name}" for name in ("clusters", "compared", "descriptors")),
            "data.duplicates.duplicates",
        ),
    ),
    "prepare": (
        prepare._code,
        (
            *("data.prepare.executor", "data.prepare.listings"),
            *PIXELS,
        ),
    ),
    "segmenter": (
        segmenter._code,
        (
            *(f"segmentation.{name}" for name in ("examples", "segmenter", "train", "unet")),
            *(
                "training.fit",
                "training.checkpoint",
                "training.schedule",
                "data.input.training_set",
            ),
            *PIXELS,
        ),
    ),
    "segmentation": (
        segment._code,
        (
            *(f"segmentation.{name}" for name in ("examples", "overlap", "segment", "train")),
            *("segmentation.pictures", "segmentation.unet", "training.fit"),
        ),
    ),
    **TRAINING,
    "texture features": (
        partial(features_code, "texture"),
        tuple(f"features.{name}" for name in ("texture", "worker")),
    ),
    "pixel features": (
        partial(features_code, "pixels"),
        tuple(f"features.{name}" for name in ("small", "worker")),
    ),
    "deep features": (
        partial(features_code, "deep", "efficientnet_lite0"),
        (
            *("features.network", "features.worker"),
            *("models.efficientnet_lite0", "models.head", "models.registry", "models.torch_file"),
        ),
    ),
    "profile": (
        look._code,
        tuple(f"profile.{name}" for name in ("look", "sums", "alike", "charts", "page", "shift")),
    ),
    "evaluate": (
        evaluate._code,
        (
            *("evaluation.evaluate", "evaluation.metrics", "evaluation.intervals"),
            *(
                "evaluation.answers",
                "evaluation.predictions",
                "evaluation.calibration",
                "evaluation.selective",
            ),
        ),
    ),
    "select": (
        select._code,
        (
            *("release.select", "release.bundle", "release.build", "release.export"),
            *("release.trust", "evaluation.head", "evaluation.cells", "evaluation.geometry"),
            *("evaluation.calibration", "evaluation.novelty"),
        ),
    ),
    "gate": (
        gate._code,
        ("release.gate", "release.rules", "release.comparison", "evaluation.metrics"),
    ),
}
MATTERS["score"] = (
    score._code,
    ("scoring.answers", "scoring.worker", "release.predictor", "release.runtime", *PIXELS),
)
DESCRIPTION = tuple(f"pipelines.imaging.{name}" for name in DESCRIBING)
FAMILY_CODE: dict[str, tuple[str, ...]] = {
    "pipelines.models.applications": ("densenet121", "inception_v3", "resnet50"),
    "pipelines.models.torch_file": ("efficientnet_lite0",),
    "pipelines.models.families": (),
    "pipelines.models.identity": (),
    "pipelines.models.imagenet": (),
    "pipelines.models.average": (),
    **{module: (name,) for name, module in FAMILIES.items()},
    "pipelines.models.head": tuple(FAMILIES),
    "pipelines.models.registry": tuple(FAMILIES),
    "pipelines.models.weights": tuple(FAMILIES),
}
"""Module → the families whose models it decides."""
Edit = Callable[[str, str], None]


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Lets the file of each module whose name begins so seem to end in other words than it does."""
    source = stage._source

    def change(name: str, words: str) -> None:
        def read(module: ModuleType) -> str:
            return source(module) + (words if module.__name__.startswith(name) else "")

        monkeypatch.setattr(stage, "_source", read)

    return change


@pytest.mark.parametrize("name", MATTERS)
def test_prose_makes_nothing_anew(name: str, edit: Edit) -> None:
    code, _ = MATTERS[name]
    before = code()
    edit("pipelines", "\n# A comment.\n'''And words that nothing reads.'''\n")

    assert code() == before


@pytest.mark.parametrize("name", MATTERS)
def test_each_module_that_decides_a_stages_result_makes_it_anew(name: str, edit: Edit) -> None:
    code, modules = MATTERS[name]
    before = code()
    unnoticed = []
    for module in modules:
        edit(f"pipelines.{module}", "\nTHRESHOLD = 1\n")
        unnoticed += [module] if code() == before else []

    assert unnoticed == []


@pytest.mark.parametrize("suite", ["landing", "snapshot", "prepared"])
def test_a_changed_suite_checks_anew(suite: str, edit: Edit) -> None:
    code = partial(checks._code, getattr(expectations, suite))
    before = code()

    edit(f"expectations.{suite}", "\n# A comment.\n")
    assert code() == before
    for changed in (
        f"expectations.{suite}",
        "expectations.images",
        "pipelines.data.checks.check_tables",
    ):
        edit(changed, "\nTHRESHOLD = 1\n")
        assert code() != before


@pytest.mark.parametrize(
    ("changed", "stands"),
    [
        ("pipelines.training.augment", ("landing", "split", "prepare", "gate")),
        (
            "pipelines.training.augment",
            ("segmenter", "train regression on texture"),
        ),
        ("pipelines.release.rules", ("prepare", "train frozen", "evaluate", "select")),
        ("pipelines.evaluation.intervals", ("prepare", "train frozen", "select", "gate")),
        *((module, ("prepare", "segmenter", "score", *TRAINING)) for module in DESCRIPTION),
        ("pipelines.training.finetune", ("train frozen", "train scratch", "train ensemble")),
        ("pipelines.training.frozen", ("train scratch", "train regression on deep features")),
        ("pipelines.training.logistic", ("train frozen", "train finetune", "train scratch")),
        ("pipelines.training.candidate", tuple(TRAINING)),
        ("pipelines.models.average", ("train frozen", "train scratch")),
        ("pipelines.features.texture", ("pixel features", "deep features", "train frozen")),
        ("pipelines.features.texture", ("train regression on deep features",)),
        ("pipelines.features.network", ("texture features", "train regression on texture")),
        ("pipelines.segmentation.pictures", ("segmenter", "prepare")),
        ("pipelines.scoring.score", ("score",)),
        ("pipelines.imaging.fit", ("landing", "split", *TRAINING)),
    ],
)
def test_what_a_change_does_not_touch_stands(
    changed: str, stands: tuple[str, ...], edit: Edit
) -> None:
    before = {name: MATTERS[name][0]() for name in stands}
    edit(changed, "\nTHRESHOLD = 1\n")

    assert {name: MATTERS[name][0]() for name in stands} == before


def test_an_edit_of_the_zoo_makes_new_models_of_the_families_that_it_decides(edit: Edit) -> None:
    """Both directions, for each module of the zoo and each family."""

    def versions() -> dict[str, str]:
        return {name: stage.code_version(*family_modules(name)) for name in FAMILIES}

    before, decided = versions(), {}
    for module in FAMILY_CODE:
        edit(module, "\nTHRESHOLD = 1\n")
        after = versions()
        decided[module] = tuple(name for name in FAMILIES if after[name] != before[name])

    assert decided == FAMILY_CODE


def test_every_module_of_the_zoo_is_accounted_for() -> None:
    names = {f"pipelines.models.{module.name}" for module in iter_modules(models.__path__)}

    assert names - set(FAMILY_CODE) == {"pipelines.models.code"}


def test_a_family_is_trained_again_for_its_own_code_only(edit: Edit) -> None:
    specs = {name: candidate(recipe="finetune", model=name) for name in FAMILIES}
    before = {name: training_code(spec) for name, spec in specs.items()}

    edit("pipelines.models.resnet50", "\nTHRESHOLD = 1\n")
    after = {name: training_code(spec) for name, spec in specs.items()}

    assert [name for name in specs if after[name] != before[name]] == ["resnet50"]


LIBRARIES = (*decoding.LIBRARIES.values(), *(f"pillow:{codec}" for codec in decoding.CODECS))
DECODED = ("landing", "prepare", "segmenter", "score")
"""Stages that decode originals; what follows them is named by their outputs."""


def _upgrade(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    kept, codec = decoding._installed, features.version

    def installed(name: str) -> str:
        return "99.9" if name == library else kept(name)

    def built(name: str) -> str | None:
        return "99.9" if f"pillow:{name}" == library else codec(name)

    monkeypatch.setattr(decoding, "_installed", installed)
    monkeypatch.setattr(features, "version", built)


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_upgrade_of_a_decoding_library_makes_again_what_is_decoded(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (*DECODED, "split", "train frozen", "gate")
    before = {name: MATTERS[name][0]() for name in asked}
    assert {name: MATTERS[name][0]() for name in asked} == before

    _upgrade(monkeypatch, library)

    assert {name for name in asked if MATTERS[name][0]() != before[name]} == set(DECODED)


def test_the_runtime_of_the_lesion_finder_counts_only_where_images_are_cropped_to_lesions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cropped, whole = prepare._code(finder=True), prepare._code()
    scored = score._code(finder=True)
    _upgrade(monkeypatch, "openvino")

    assert prepare._code(finder=True) != cropped
    assert score._code(finder=True) != scored
    assert prepare._code() == whole


def test_every_library_that_decoding_imports_is_counted() -> None:
    modules = [f"pipelines.imaging.{m.name}" for m in iter_modules(imaging.__path__)]
    used = {
        imported.partition(".")[0]
        for module in modules
        for imported, _ in reached._imports(stage.unexecuted(module))
    }
    counted = {*decoding.LIBRARIES, *decoding.FINDER}

    assert used - set(sys.stdlib_module_names) - {"pipelines", "pydantic"} == counted
    assert all(version != "none" for version in decoding.decoding_versions(finder=True).values())
