"""A training in a process of its own, for a test to kill: FOLDER CANDIDATE_JSON."""

import sys
from pathlib import Path

from pipelines.data.input.cache import read_set
from pipelines.spec import CandidateSpec
from pipelines.training.train import train
from tests.pipelines.local_sets import PATH

folder = Path(sys.argv[1])
train(
    CandidateSpec.model_validate_json(sys.argv[2]),
    read_set(folder / "cache" / PATH),
    seed=3,
    workdir=folder / "work",
    on_epoch=lambda epoch, _: print("epoch", epoch, flush=True),
)
