"""One DAG of a kind for each data set; a data set whose file is invalid has none."""

import logging
from collections.abc import Callable, Iterable

from airflow.sdk import DAG

from pipelines.activity import is_active
from pipelines.errors import SpecError
from pipelines.settings import get_settings
from pipelines.spec import spec_names

logger = logging.getLogger(__name__)


def build_each(build: Callable[[str], DAG], datasets: Iterable[str]) -> dict[str, DAG]:
    """The DAGs of data sets by their ids.

    An invalid file disables its own data set only; ``invalid_specs.py`` reports it.
    """
    made = {}
    for dataset in datasets:
        try:
            dag = build(dataset)
        except SpecError as error:
            logger.warning("%s has no DAG: %s", dataset, error)
        else:
            made[dag.dag_id] = dag
    return made


def names_in_use() -> list[str]:
    """The data sets that are in use."""
    return [name for name in spec_names() if is_active(get_settings(), name)]
