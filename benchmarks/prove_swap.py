"""Proof that champions change under load without a failed or mixed-up answer.

    python -m benchmarks.prove_swap [--swaps 20] [--workers 2] [--clients 4] [--poll 5]

Starts a real MLflow and the real service in a folder of their own, registers two small bundles,
and lets the ``champion`` alias go back and forth under load; in between it crowns one bundle with
altered weights and one that answers its canary images otherwise than it says. Then MLflow is
killed and the service started again; then also its kept bundle is altered. Exits 1 if a claim
fails.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.claims import Claim, show
from benchmarks.swaps import POLL_SECONDS, prove_restarts, prove_swaps
from stack.control import down
from stack.testing import running_stack


def main() -> None:
    """Prove it, print a table, exit 1 if a claim fails."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="prove-swap-") as folder:
        claims = prove(Path(folder), options)
    title = f"{options.swaps} swaps, {options.workers} workers, {options.clients} clients"
    sys.exit(show(claims, title=title))


def prove(folder: Path, options: argparse.Namespace) -> list[Claim]:
    """All claims, in a folder that is thrown away."""
    with running_stack(["mlflow"], home=folder / "stack") as mlflow:
        swapped = prove_swaps(
            mlflow,
            folder / "service",
            swaps=options.swaps,
            workers=options.workers,
            clients=options.clients,
            poll_seconds=options.poll,
        )
        down(mlflow)
        return [*swapped, *prove_restarts(mlflow, folder / "service", workers=options.workers)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument(
        "--poll", type=float, default=POLL_SECONDS, help="seconds between two looks for a champion"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
