"""Which data sets of an installation are in use.

The project ships many data sets, and an installation uses a few. One that is in use has all its
DAGs and its clock. Of one that is not, only the watcher of its landing folder runs.

A data set is in use once files of it have landed or a model of it serves. ``medloop enable`` and
``medloop disable`` override that. Airflow asks each time it reads the DAG files, so the answer
comes from small files of the home, never from the store or MLflow.
"""

import logging
from pathlib import Path

from pipelines.atomic import written_whole
from pipelines.data.land.ledger import has_entries
from pipelines.settings import Settings

logger = logging.getLogger(__name__)

ENABLED, DISABLED = "enabled", "disabled"


def is_active(settings: Settings, dataset: str) -> bool:
    """Whether a data set is in use; a record that cannot be read counts as yes."""
    return (choice := _choice(settings, dataset)) == ENABLED or (
        choice != DISABLED
        and (has_entries(settings, dataset) or served_note(settings, dataset).exists())
    )


def is_disabled(settings: Settings, dataset: str) -> bool:
    """Whether somebody has said that a data set is not to be used, whatever lands."""
    return _choice(settings, dataset) == DISABLED


def enable(settings: Settings, dataset: str) -> None:
    """Use a data set from now on; its DAGs appear when Airflow next reads the DAG files."""
    _choose(settings, dataset, ENABLED)


def disable(settings: Settings, dataset: str) -> None:
    """Use a data set no more: no clock and no landing folder starts its DAGs."""
    _choose(settings, dataset, DISABLED)


def served_note(settings: Settings, dataset: str) -> Path:
    """The file in which the service notes the bundle of a data set that it serves."""
    return settings.home / "service" / f"{dataset}.json"


def _choice(settings: Settings, dataset: str) -> str | None:
    try:
        return _file(settings, dataset).read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("%s: cannot read whether it is in use: %s", dataset, error)
        return ENABLED


def _choose(settings: Settings, dataset: str, choice: str) -> None:
    file = _file(settings, dataset)
    if _choice(settings, dataset) == choice:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as part:
        part.write_text(f"{choice}\n", "utf-8")
    logger.info("%s: %s", dataset, choice)


def _file(settings: Settings, dataset: str) -> Path:
    return settings.home / "in_use" / f"{dataset}.txt"
