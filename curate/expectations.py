"""The expectation that curated rows are what their ledger says, for Great Expectations.

`import evenset.curate.expectations` registers it, and those of `evenset.audit.expectations` with it. It stands here
since the ledger is this room's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Optional

import numpy as np
import numpy.typing as npt

from ..audit.check import check
from ..audit.expectations import EvensetRows
from ..audit.expectations.base import outcome
from ..audit.expectations.gx import (
    ColumnMapMetricProvider,
    MetricConfiguration,
    MetricDomainTypes,
    PandasExecutionEngine,
    TableMetricProvider,
    metric_value,
)
from ..audit.expectations.rows import row_metric
from ..audit.expectations.words import plain
from ..data.errors import InputError
from .book.matching import MEASURE, Matched, matched

if TYPE_CHECKING:
    import pandas as pd

_MAP = "column_values.evenset_as_in_ledger"
_WHOLE = "table.evenset_ledger"


def held(frame: pd.DataFrame, column: str, ledger: str, original: str | None) -> Matched:
    """A data frame of curated rows against its ledger."""
    from .book.ledger import read_ledger

    text = read_ledger(ledger).about["input"]["text"]
    if column != text:
        raise InputError(f'the ledger is of texts in the column "{text}", not "{column}"')
    return matched(frame, ledger, original=original)


def mismatches(frame: pd.DataFrame, column: str, ledger: str, original: str | None) -> npt.NDArray[np.bool_]:
    """Rows that are not what the ledger says."""
    return held(frame, column, ledger, original).wrong


class EvensetLedgerRows(ColumnMapMetricProvider):  # type: ignore[misc]
    """Rows as the ledger has them."""

    condition_metric_name = _MAP
    condition_value_keys = ("ledger", "original")
    _pandas = row_metric(mismatches)


class EvensetLedger(TableMetricProvider):  # type: ignore[misc]
    """How many rows are missing, and of how many the ledger does not say enough."""

    metric_name = _WHOLE
    value_keys = ("column", "ledger", "original")

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(
        cls,  # noqa: N805 - Great Expectations calls it so
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG002
        runtime_configuration: dict[str, Any],  # noqa: ARG002
    ) -> Matched:
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        return held(frame, **metric_value_kwargs)


class ExpectEvensetCuratedMatchesLedger(EvensetRows):
    """Every row of a curated data frame, in its order, is what the ledger of its curation says.

    Rows that the ledger does not name (they were not changed) can be told only with the original; without it they make
    the result unclear, since a data frame has no bytes to compare with the file that curation wrote. `evenset check
    --ledger` compares the file itself.

    Attributes
    ----------
    column : str
        The column of the text.
    ledger : str
        Path of the ledger.
    original : str, optional
        Path of the data before curation.
    """

    ledger: str
    original: Optional[str] = None

    map_metric = _MAP
    measure = MEASURE
    success_keys: ClassVar[tuple[str, ...]] = (*EvensetRows.success_keys, "ledger", "original")

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: Any = None, **kwargs: Any
    ) -> Any:
        """The count of rows, and what else there is to know."""
        wanted = super().get_validation_dependencies(execution_engine, runtime_configuration, **kwargs)
        rows = wanted.get_metric_configuration("table.row_count")
        wanted.set_metric_configuration(
            _WHOLE,
            MetricConfiguration(
                metric_name=_WHOLE,
                metric_domain_kwargs=rows.metric_domain_kwargs,
                metric_value_kwargs={"column": self.column, "ledger": self.ledger, "original": self.original},
            ),
        )
        return wanted

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        found: Matched = metrics[_WHOLE]
        rows = len(found.wrong)
        return outcome(
            check([found.finding()], [self.rule]),
            allow_unclear=self.allow_unclear,
            element_count=rows,
            unexpected_count=found.count,
            unexpected_percent=100 * found.count / max(rows + found.lacking, 1),
        )

    def about(self) -> str:
        """What is counted, in words."""
        from pathlib import Path

        return f"rows that are not what the ledger <b>{plain(Path(self.ledger).name)}</b> says"
