"""The metric under the batch expectations: the findings of a batch, read from it or made of its rows once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...data.errors import InputError
from ..findings import Finding
from .gx import MetricDomainTypes, PandasExecutionEngine, TableMetricProvider, metric_value
from .table import findings_of

if TYPE_CHECKING:
    import pandas as pd

NAME = "table.evenset_findings"


class EvensetFindings(TableMetricProvider):  # type: ignore[misc]
    """Findings of a batch; Great Expectations keeps the value for all expectations that ask the same of a batch."""

    metric_name = NAME
    value_keys = ("asked",)

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(
        cls,  # noqa: N805 - Great Expectations calls it so
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG002
        runtime_configuration: dict[str, Any],  # noqa: ARG002
    ) -> tuple[Finding, ...]:
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        return found_in(frame, json.loads(metric_value_kwargs["asked"]))


def found_in(frame: pd.DataFrame, asked: dict[str, Any]) -> tuple[Finding, ...]:
    """The findings of a batch.

    Parameters
    ----------
    frame : DataFrame
        A table of findings, or rows.
    asked : dict
        Empty for a table of findings; else `columns` (arguments of `evenset.data.open`), `axes`, `reference`,
        `measures` and `seed`.

    Raises
    ------
    InputError
    """
    if not asked:
        return findings_of(frame)
    from ...data.config import DataConfig
    from ...data.opening import open_dataset
    from ..pipeline import run

    if not len(frame):
        raise InputError("this batch has no rows")
    columns = asked["columns"]
    dataset = open_dataset(frame, need_label=columns.get("label") is not None, **columns)
    axes = asked["axes"]
    if axes == "auto":
        axes = list(dataset.suggested_axes) or list(DataConfig().axes)
    report = run(dataset, axes=axes, reference=asked["reference"], measures=asked["measures"], seed=asked["seed"])
    return report.findings
