"""How well the model does as served, by the answers whose true class is known by now."""

import numpy as np
import pyarrow as pa

from pipelines.monitoring.answers import decisions_in
from pipelines.monitoring.labels import Truth
from pipelines.monitoring.performance import MeasuredPerformance, measure_performance
from pipelines.monitoring.state import State, answers_of
from pipelines.spec import DatasetSpec, GateSpec
from pipelines.storage import Store

LEAST_LABELLED = 30
"""Labels without which a figure says next to nothing."""


def measured(store: Store, spec: DatasetSpec, state: State, truth: Truth) -> State:
    """The state with what labels say of its windows: of each, and of all together.

    Args:
        store: where the windows' answers are.
        spec: the data set.
        state: the windows.
        truth: the labels.

    Raises:
        Unavailable: the store does not answer.
    """
    tables = {
        window.number: _labelled(answers_of(store, spec.name, window.number), truth)
        for window in state.windows
    }
    windows = tuple(
        window.model_copy(update={"measured": _figures(spec, tables[window.number])})
        for window in state.windows
    )
    together = _figures(spec, pa.concat_tables(tables.values())) if tables else None
    return state.model_copy(update={"windows": windows, "measured": together})


def least_figures(gate: GateSpec) -> dict[str, float]:
    """Each figure that the gate asks a least value of, and that value."""
    by_class = gate.minimum_sensitivity.items()
    return dict(gate.minimum.items()) | {f"sensitivity.{name}": least for name, least in by_class}


def _labelled(table: pa.Table, truth: Truth) -> pa.Table:
    """The answers whose class is known, with a column ``label``."""
    labels = pa.array(truth.of(table), pa.string())
    return table.append_column("label", labels).filter(labels.is_valid())


def _figures(spec: DatasetSpec, table: pa.Table) -> MeasuredPerformance | None:
    if table.num_rows < LEAST_LABELLED:
        return None
    place = {name: index for index, name in enumerate(spec.class_names)}
    return measure_performance(
        decisions_in(table, spec.class_names),
        np.array([place[name] for name in table["label"].to_pylist()]),
        groups=[sha or request for sha, request in _names(table)],
        seed=spec.split.seed,
    )


def _names(table: pa.Table) -> zip:  # type: ignore[type-arg]
    return zip(table["sha256"].to_pylist(), table["request_id"].to_pylist(), strict=True)
