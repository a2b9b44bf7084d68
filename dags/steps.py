"""A step of `pipelines.loop` as an Airflow task."""

import inspect
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.log import mask_secret
from pydantic import BaseModel

from dags.callbacks import task_failed
from pipelines.errors import CandidateSkipped, Overtaken
from pipelines.healing import can_heal
from pipelines.memory import bounded_memory
from pipelines.redaction import password_of
from pipelines.scheduler import HEAVY_POOL
from pipelines.settings import get_settings

logger = logging.getLogger(__name__)

EVERY: dict[str, Any] = {
    # 2½ minutes in all: longer than any part takes to return, also after a power cut.
    "retries": 5,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "on_failure_callback": task_failed,
    "weight_rule": "absolute",
}
"""What all tasks share. The retries are for what can heal: a store or server that is away, a task
that was killed."""

NICENESS = 10
"""By how much heavy steps stand back from the service, which answers on the same cores."""


def step(function: Callable[..., Any], **options: Any) -> Any:
    """An Airflow task that makes one call and passes its output on as plain JSON.

    Args:
        function: a function of `pipelines.loop`; its name becomes the task's.
        options: settings of the task, beside `EVERY`.
    """

    @wraps(function)
    def call(*args: Any, **inputs: Any) -> Any:
        output = _heal_or_fail(function, *args, **inputs)
        return output.model_dump(mode="json") if isinstance(output, BaseModel) else output

    return task(**_options(function, options))(call)


def heavy_step(function: Callable[..., Any], **options: Any) -> Any:
    """A `step` that keeps cores and memory busy for minutes.

    Few run at once, the service goes first, and none takes more memory than it may.
    """

    @wraps(function)
    def standing_back(*args: Any, **inputs: Any) -> Any:
        os.nice(NICENESS)
        with bounded_memory(get_settings().heavy_gigabytes, what=function.__name__):
            return function(*args, **inputs)

    return step(standing_back, pool=HEAVY_POOL, **options)


def branch(function: Callable[..., str]) -> Any:
    """An Airflow task that chooses which task comes next by its name."""

    @wraps(function)
    def call(*args: Any, **inputs: Any) -> str:
        return str(_heal_or_fail(function, *args, **inputs))

    return task.branch(**_options(function, {}))(call)


def only_if(function: Callable[..., bool]) -> Any:
    """An Airflow task after which nothing more is done if the function says no."""

    @wraps(function)
    def call(*args: Any, **inputs: Any) -> bool:
        return bool(_heal_or_fail(function, *args, **inputs))

    return task.short_circuit(**_options(function, {}))(call)


def _mask_secrets() -> None:
    """Let Airflow hide our logins in the task's log, whoever writes it: messages of libraries name
    whole addresses."""
    settings = get_settings()
    for url in (settings.mlflow_uri, settings.airflow_url, settings.service_url, settings.store):
        if url and (password := password_of(url)):
            mask_secret(password)


def _options(function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    named = {"task_id": function.__name__, "doc_md": inspect.getdoc(function)}
    return named | EVERY | options


def _heal_or_fail(function: Callable[..., Any], *args: Any, **inputs: Any) -> Any:
    began = time.monotonic()
    _mask_secrets()
    try:
        output = function(*args, **inputs)
    except (CandidateSkipped, Overtaken) as skipped:
        raise AirflowSkipException(str(skipped)) from skipped
    except Exception as error:
        if can_heal(error):
            raise
        # It would fail the same way again, after the same hours of work.
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
    logger.info("%s took %.2f s", function.__name__, time.monotonic() - began)
    return output
