"""The proof of `benchmarks.prove_swap`, in short: swaps under load with two workers."""

from pathlib import Path

from benchmarks.swaps import DATASET, prove_swaps
from pipelines.settings import Settings
from pipelines.tracking import versions
from pipelines.tracking.client import open_tracking


def test_swaps_under_load_fail_no_request_and_mix_no_answers(
    mlflow_server: Settings, tmp_path: Path
) -> None:
    try:
        claims = prove_swaps(
            mlflow_server, tmp_path, swaps=3, workers=2, clients=3, poll_seconds=0.3
        )
    finally:  # other tests begin without a champion
        versions.delete_alias(open_tracking(mlflow_server), DATASET, "champion")
    assert len(claims) == 6
    assert [claim for claim in claims if not claim.holds] == []
