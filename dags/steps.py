"""A step of `pipelines.loop` as an Airflow task."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException
from pydantic import BaseModel

from pipelines.errors import MedloopError, Unavailable

RETRY: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}
"""For what can heal: a store or server that is away, a task that was killed."""


def step(function: Callable[..., Any], **options: Any) -> Any:
    """An Airflow task that makes one call and passes its output on as plain JSON.

    Args:
        function: a function of `pipelines.loop`; its name becomes the task's.
        options: settings of the task, beside `RETRY`.
    """

    @wraps(function)
    def call(*args: Any, **inputs: Any) -> Any:
        output = _heal_or_fail(function, *args, **inputs)
        return output.model_dump(mode="json") if isinstance(output, BaseModel) else output

    name, doc = function.__name__, inspect.getdoc(function)
    return task(task_id=name, doc_md=doc, **(RETRY | options))(call)


def branch(function: Callable[..., str]) -> Any:
    """An Airflow task that chooses which task comes next by its name."""

    @wraps(function)
    def call(*args: Any, **inputs: Any) -> str:
        return str(_heal_or_fail(function, *args, **inputs))

    return task.branch(task_id=function.__name__, **RETRY)(call)


def _heal_or_fail(function: Callable[..., Any], *args: Any, **inputs: Any) -> Any:
    try:
        return function(*args, **inputs)
    except Unavailable:
        raise
    except MedloopError as error:
        # Trying again cannot help: the message says what a person has to mend.
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
