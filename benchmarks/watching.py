"""What does it cost to watch a landing folder?

    python -m benchmarks.watching [--files 10000] [--folder FOLDER]

Processor time of one look, in this process, at a folder made here or at FOLDER (a path, or
``hdfs:///PATH`` in the HDFS of this installation), and what share of a core that is at the default
quiet period.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipelines.data.folders import open_folder
from pipelines.data.land.arrivals import CHECKS_PER_QUIET_PERIOD
from pipelines.data.land.ledger import Ledger
from pipelines.data.land.pseudonyms import Pseudonyms
from pipelines.settings import get_settings
from pipelines.spec.data import LandingSpec

LOOKS = 7
PER_FOLDER = 2500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folder", help="look here instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or str(_make(Path(scratch) / "landing", options.files))
        Console().print(_measured(folder, Path(scratch)))


def _make(folder: Path, files: int) -> Path:
    for number in track(range(files), "Making files"):
        file = folder / f"class{number // PER_FOLDER}" / f"{number:06}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return folder


def _measured(folder: str, scratch: Path) -> Table:
    source = open_folder(get_settings(), folder)
    ledger = Ledger(scratch / "ledger.sqlite", Pseudonyms(b"k" * 32))
    everything = source.all_files()
    look = _seconds(source.all_files)
    known = _seconds(lambda: ledger.unknown(source.location, everything))
    share = look * CHECKS_PER_QUIET_PERIOD / LandingSpec().quiet_seconds
    rows = Table("", "processor time", title=f"{len(everything):,} files in {source.location}")
    rows.add_row("a look: listing the folder", f"{look * 1e3:.0f} ms")
    rows.add_row("once a delivery: asking the ledger", f"{known * 1e3:.0f} ms")
    rows.add_row("watching, of one core", f"{share:.2%}")
    return rows


def _seconds(work: Callable[[], object]) -> float:
    """Median of the processor time."""
    spent = []
    for _ in range(LOOKS):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
