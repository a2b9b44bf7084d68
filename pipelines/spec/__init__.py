"""What a ``datasets/*.yaml`` may say, loaded and checked in one place.

A spec is everything Medloop has to know of one kind of scan. Each section class is one block of
the YAML file; a field that is not listed there is an error, so a typing slip is never silently
ignored.

    section.py      what every block is made of
    data.py         where images come from, what they are called, how they are divided
    recipe.py       how a candidate is trained
    models.py       which models are trained, and what they may say
    gate.py         which may serve
    card.py         what a model card says that no program can find out
    tuning.py       which settings of a model are tried
    segmenter.py    how lesions are found, where masks came
    operating.py    what a model must not miss, and where it is used
    operations.py   when it is trained anew, who is asked, what is watched
    dataset.py      all of it together: `DatasetSpec`
    load.py         files to specs, and slips to clear errors
"""

from pipelines.spec.card import CardSpec
from pipelines.spec.data import (
    ChecksSpec,
    ClassSpec,
    DuplicatesSpec,
    ExternalSpec,
    ImageSpec,
    LandingSpec,
    LimitsSpec,
    ReferenceSpec,
    SourceSpec,
    SplitSpec,
    TableSpec,
)
from pipelines.spec.dataset import DatasetSpec
from pipelines.spec.gate import GateSpec
from pipelines.spec.load import invalid_specs, load_spec, read_spec, spec_names
from pipelines.spec.models import (
    AbstentionSpec,
    BundleSpec,
    CandidateSpec,
    Metric,
    Precision,
    ReviewSpec,
    SelectionSpec,
)
from pipelines.spec.operating import OperatingSpec
from pipelines.spec.operations import ApprovalSpec, MonitorSpec, RetrainSpec
from pipelines.spec.segmenter import SegmenterSpec
from pipelines.spec.tuning import Choices, Range, TuneSpec

__all__ = [
    "AbstentionSpec",
    "ApprovalSpec",
    "BundleSpec",
    "CandidateSpec",
    "CardSpec",
    "ChecksSpec",
    "Choices",
    "ClassSpec",
    "DatasetSpec",
    "DuplicatesSpec",
    "ExternalSpec",
    "GateSpec",
    "ImageSpec",
    "LandingSpec",
    "LimitsSpec",
    "Metric",
    "MonitorSpec",
    "OperatingSpec",
    "Precision",
    "Range",
    "ReferenceSpec",
    "RetrainSpec",
    "ReviewSpec",
    "SegmenterSpec",
    "SelectionSpec",
    "SourceSpec",
    "SplitSpec",
    "TableSpec",
    "TuneSpec",
    "invalid_specs",
    "load_spec",
    "read_spec",
    "spec_names",
]
