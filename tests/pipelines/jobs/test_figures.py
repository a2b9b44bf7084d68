"""What `medloop status` says of the queue, read from the metrics that its process writes."""

import os
from pathlib import Path

from pipelines.jobs.figures import SILENT_SECONDS, Figures, figures_file, show, summary
from pipelines.settings import Settings


def test_status_says_how_many_jobs_wait_while_the_queue_runs(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    file = figures_file(settings)
    assert summary(settings) is None

    show(file, Figures(waiting=2, bytes=9, oldest_seconds=75.4, kept={"done": 5}))
    ended = "ended and kept: 5 done, 0 failed, 0 expired."
    assert summary(settings) == f"Jobs: 2 wait, the oldest for 0:01:15; {ended}"
    show(file, Figures(waiting=0, bytes=0, oldest_seconds=0, kept={"done": 5}))
    assert summary(settings) == f"Jobs: 0 wait; {ended}"

    past = file.stat().st_mtime - SILENT_SECONDS - 1
    os.utime(file, (past, past))
    assert summary(settings) is None
