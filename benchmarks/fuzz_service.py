"""Ten thousand requests made up from the OpenAPI document, at the real service.

    python -m benchmarks.fuzz_service [--requests 10000] [--seed 0]

After every request a good one must be answered as before. Exits 1 if any is answered with a 5xx,
otherwise than the document says, or not at all.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
from rich.progress import Progress

from benchmarks.claims import Claim, show
from benchmarks.fuzz import Found, fuzz
from tests.serving.bundles import make_bundle, png
from tests.serving.running import running_service

SHOWN = 5


def main() -> None:
    """Fuzz, print, exit 1 if a claim fails."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        bundle = make_bundle(Path(folder) / "bundle")
        with running_service(Path(folder) / "home", "--bundle", str(bundle)) as http:
            pid = http.get("/model").json()["pid"]
            with Progress(transient=True) as progress:
                bar = progress.add_task("Asking", total=options.requests)
                found = fuzz(
                    str(http.base_url).rstrip("/"),
                    examples=options.requests,
                    number=options.seed,
                    good=good_question(http),
                    progress=lambda more: progress.update(bar, advance=more),
                )
            same = http.get("/model").json()["pid"] == pid
    for fault in found.faults[:SHOWN]:
        print(fault, end="\n\n")
    sys.exit(show(claims(found, same), title=f"{found.requests:,} requests, seed {options.seed}"))


def claims(found: Found, same_process: bool) -> list[Claim]:
    """What is claimed of the answers."""
    crashes = sum(count for status, count in found.statuses.items() if status >= 500)
    statuses = ", ".join(f"{status}: {n:,}" for status, n in sorted(found.statuses.items()))
    return [
        Claim("answers with a 5xx", "0", f"{crashes} ({statuses})", crashes == 0),
        Claim("not as the document says", "0", str(len(found.faults)), not found.faults),
        Claim("the same process serves on", "yes", "yes" if same_process else "no", same_process),
    ]


def good_question(http: httpx.Client) -> Callable[[], None]:
    """Asks a good image, and raises if it is answered otherwise than the first time."""

    def ask() -> object:
        reply = http.post("/predict", content=png(), headers={"Content-Type": "image/png"})
        return reply.raise_for_status().json()["probabilities"]

    first = ask()

    def ask_again() -> None:
        if (answer := ask()) != first:
            raise AssertionError(f"a good image was answered {answer}, before {first}")

    return ask_again


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
