"""``python -m pipelines.jobs``: work the queue off until told to stop."""

import asyncio
import logging
import sys

from pipelines.errors import MedloopError
from pipelines.jobs.worker import QueueWorker
from pipelines.settings import get_settings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # one line a request, with addresses that clients name
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(QueueWorker(get_settings()).run())
    except MedloopError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
