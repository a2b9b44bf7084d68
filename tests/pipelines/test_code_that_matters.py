"""A change of code makes anew what it touches and nothing else; one of prose makes nothing."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest

import expectations.images
import expectations.landing
import expectations.prepared
import expectations.snapshot
from pipelines import stage
from pipelines.data import checks, opening, prepare, split
from pipelines.evaluation import evaluate
from pipelines.features import extract
from pipelines.profile import look
from pipelines.release import gate, select
from pipelines.segmentation import segmenter
from pipelines.training.code import training_code

IMAGING = (
    *("blank", "decode", "depth", "dicom", "info", "perceptual", "raster", "shades", "sniff"),
    "traces",
)
FITTING = ("body", "box", "fit", "lesion", "tones", "window")
EXAMINING = (
    "data.examine",
    "data.deidentify",
    "data.originals",
    *(f"imaging.{name}" for name in IMAGING),
)
MATTERS: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "landing": (opening.examination_version, EXAMINING),
    "split": (
        split._code,
        (
            *("data.split", "data.clusters", "data.division", "data.division_by_source"),
            *("data.duplicates", "data.leaks", "data.source_clusters"),
        ),
    ),
    "prepare": (
        prepare._code,
        (
            *("data.prepare", "data.sharding", "data.pixel_stats", "data.shard_writer"),
            *(f"imaging.{name}" for name in (*IMAGING, *FITTING)),
        ),
    ),
    "segmenter": (
        segmenter._code,
        (
            *(f"segmentation.{name}" for name in ("examples", "segmenter", "train", "unet")),
            *(f"imaging.{name}" for name in FITTING),
        ),
    ),
    "train": (
        training_code,
        (
            *("training.train", "training.frozen", "training.finetune", "training.scratch"),
            *("training.logistic", "training.linear", "features.texture", "features.extract"),
            *("training.augment", "training.features", "training.fit", "training.pixels"),
            *("models.strided_cnn", "models.efficientnet_lite0", "models.head", "models.registry"),
        ),
    ),
    "texture features": (
        extract._code,
        tuple(f"features.{name}" for name in ("extract", "network", "small", "texture", "worker")),
    ),
    "deep features": (
        extract._network_code,
        ("models.efficientnet_lite0", "models.head", "models.registry", "models.torch_file"),
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
    for changed in (f"expectations.{suite}", "expectations.images", "pipelines.data.check_tables"):
        edit(changed, "\nTHRESHOLD = 1\n")
        assert code() != before


@pytest.mark.parametrize(
    ("changed", "stands"),
    [
        ("pipelines.training.augment", ("landing", "split", "prepare", "gate")),
        ("pipelines.release.rules", ("prepare", "train", "evaluate", "select")),
        ("pipelines.evaluation.intervals", ("prepare", "train", "select", "gate")),
        ("pipelines.imaging.fit", ("landing", "split", "train")),
    ],
)
def test_what_a_change_does_not_touch_stands(
    changed: str, stands: tuple[str, ...], edit: Edit
) -> None:
    before = {name: MATTERS[name][0]() for name in stands}
    edit(changed, "\nTHRESHOLD = 1\n")

    assert {name: MATTERS[name][0]() for name in stands} == before
