"""Runs Great Expectations: validates a table against a suite, and adds a page to one site.

The site of this installation is ``$MEDLOOP_HOME/data_docs/index.html``. Its index lists the results
in ``$MEDLOOP_HOME/expectations``. Suites are built from code, so nothing else of Great Expectations
is stored.
"""

import logging
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pandas as pd

import expectations
from pipelines.data.checks.data_docs_index import write_index
from pipelines.inside import path_inside
from pipelines.locks import locked

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.data_context import AbstractDataContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataDocs:
    """The site of one installation.

    Args:
        home: home folder of the installation.
    """

    home: Path

    @property
    def site(self) -> Path:
        """The site's folder."""
        return self.home / "data_docs"

    @property
    def results(self) -> Path:
        """The folder of validation results."""
        return self.home / "expectations"

    @property
    def index(self) -> Path:
        """The page that lists all runs."""
        return self.site / "index.html"

    def page(self, suite: str, run: str) -> Path | None:
        """The newest page of a run; ``None`` if there is none.

        Args:
            suite: name of the suite; a dot in it makes a folder.
            run: name of the run.
        """
        runs = self.site / "validations" / Path(*suite.split(".")) / run
        return max(runs.glob("*/*.html"), default=None)

    def validate(
        self,
        rows: pd.DataFrame,
        suite: "ExpectationSuite",
        *,
        run: str,
        rows_of: str,
        names: list[str],
    ) -> tuple[dict[str, Any], Path]:
        """Validate a table, and add the page to the site.

        Args:
            rows: the table.
            suite: the expectations.
            run: name of the run.
            rows_of: name of the table on the site.
            names: columns that identify a row for readers.

        Returns:
            The result as JSON values, and the path of its page.
        """
        with self._locked():
            found = _validate(self, rows, suite, run=run, rows_of=rows_of, names=names)
            write_index(self.results, self.site)
        return found

    def remove(self, suite: str, run: str) -> bool:
        """Delete the pages and results of a run; the index lists it until it is written again.

        Returns:
            Whether there was anything to delete.

        Raises:
            PathRefused: the path contains a symbolic link.
        """
        results, pages = self.folders("/".join((*suite.split("."), run)))
        with self._locked():
            found = [path for path in (pages, results) if path.is_dir()]
            for folder in found:  # results last: they show which pages still have to be deleted
                shutil.rmtree(folder)
        return bool(found)

    def write_index_page(self) -> None:
        """Write the page that lists all runs."""
        with self._locked():
            write_index(self.results, self.site)

    def folders(self, inside: str) -> tuple[Path, Path]:
        """The folders of the results and the pages of a run.

        Args:
            inside: names below both: ``phantom/landing/<run>``.

        Raises:
            PathRefused: the path contains a symbolic link.
        """
        pages = f"validations/{inside}"
        return path_inside(self.results, inside), path_inside(self.site, pages)

    def _locked(self) -> AbstractContextManager[None]:
        """One writer of the site at a time: its index is drawn again after every run."""
        return locked(self.results / ".lock")


def _validate(
    docs: DataDocs,
    rows: pd.DataFrame,
    suite: "ExpectationSuite",
    *,
    run: str,
    rows_of: str,
    names: list[str],
) -> tuple[dict[str, Any], Path]:
    import great_expectations as gx
    from great_expectations.checkpoint import UpdateDataDocsAction

    context = _gx_context(docs)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset(rows_of)
    definition = gx.ValidationDefinition(
        name=suite.name,
        data=asset.add_batch_definition_whole_dataframe("all"),
        suite=context.suites.add(suite),
    )
    checkpoint = gx.Checkpoint(
        name=suite.name,
        validation_definitions=[context.validation_definitions.add(definition)],
        actions=[UpdateDataDocsAction(name="data docs")],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": names},
    )
    ran = context.checkpoints.add(checkpoint).run(
        batch_parameters={"dataframe": rows}, run_id=gx.RunIdentifier(run_name=run)
    )
    [(key, result)] = ran.run_results.items()
    [page] = context.get_docs_sites_urls(resource_identifier=key)
    return result.to_json_dict(), Path(unquote(urlsplit(page["site_url"]).path))


def _gx_context(docs: DataDocs) -> "AbstractDataContext":
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig

    memory = {"class_name": "InMemoryStoreBackend"}
    config = DataContextConfig(
        analytics_enabled=False,
        progress_bars={"globally": False},
        plugins_directory=str(Path(expectations.__file__).with_name("theme")),
        expectations_store_name="suites",
        checkpoint_store_name="checkpoints",
        validation_results_store_name="results",
        stores={
            "suites": {"class_name": "ExpectationsStore", "store_backend": memory},
            "checkpoints": {"class_name": "CheckpointStore", "store_backend": memory},
            "validation_definition_store": {
                "class_name": "ValidationDefinitionStore",
                "store_backend": memory,
            },
            "results": {
                "class_name": "ValidationResultsStore",
                "store_backend": _folder(docs.results),
            },
        },
        data_docs_sites={
            "medloop": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": _folder(docs.site),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _folder(path: Path) -> dict[str, str]:
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(path)}
