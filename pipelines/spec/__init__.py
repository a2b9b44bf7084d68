"""What a ``datasets/*.yaml`` may say, loaded and checked in one place.

A spec is everything Medloop has to know of one kind of scan. Each section class is one block of
the YAML file; a field that is not listed there is an error, so a typing slip is never silently
ignored.

    section.py      what every block is made of
    data.py         where images come from, what they are called, how they are divided
    models.py       which models are trained, which may serve, what they may say
    operations.py   when it is trained anew, who is asked, what is watched
    dataset.py      all of it together: `DatasetSpec`
    load.py         files to specs, and slips to clear errors
"""

from pipelines.spec.data import (
    ChecksSpec,
    ClassSpec,
    DuplicatesSpec,
    ImageSpec,
    LandingSpec,
    LimitsSpec,
    ReferenceSpec,
    SourceSpec,
    SplitSpec,
    TableSpec,
)
from pipelines.spec.dataset import DatasetSpec
from pipelines.spec.load import load_spec, read_spec, spec_names
from pipelines.spec.models import (
    AbstentionSpec,
    BundleSpec,
    CandidateSpec,
    GateSpec,
    Metric,
    Precision,
    ReviewSpec,
    SelectionSpec,
)
from pipelines.spec.operations import ApprovalSpec, MonitorSpec, RetrainSpec

__all__ = [
    "AbstentionSpec",
    "ApprovalSpec",
    "BundleSpec",
    "CandidateSpec",
    "ChecksSpec",
    "ClassSpec",
    "DatasetSpec",
    "DuplicatesSpec",
    "GateSpec",
    "ImageSpec",
    "LandingSpec",
    "LimitsSpec",
    "Metric",
    "MonitorSpec",
    "Precision",
    "ReferenceSpec",
    "RetrainSpec",
    "ReviewSpec",
    "SelectionSpec",
    "SourceSpec",
    "SplitSpec",
    "TableSpec",
    "load_spec",
    "read_spec",
    "spec_names",
]
