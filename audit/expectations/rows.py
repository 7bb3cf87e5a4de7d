"""Expectations on each row: how many rows are not as they should be, exactly, and never which ones in a report."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...data.config import CheckRule
from ...data.errors import InputError
from ..check import CheckResult, check
from ..exact import exact
from ..findings import Finding
from .base import outcome, sound_rule
from .gx import (
    ColumnMapExpectation,
    ColumnMapMetricProvider,
    MetricDomainTypes,
    MetricPartialFunctionTypes,
    PandasExecutionEngine,
    metric_partial,
    pydantic,
)
from .shown import Shown
from .words import plain

if TYPE_CHECKING:
    import pandas as pd

_COUNT = "unexpected_count"


class EvensetRows(Shown, ColumnMapExpectation, ABC):  # type: ignore[misc]
    """Rows that are not as they should be, counted over all rows.

    Succeeds exactly where `evenset check` with a rule on this count exits with 0. Results hold the count, whatever
    format is asked for: never a value, a row or its number.

    Attributes
    ----------
    column : str
        The column that is looked at.
    warn, fail : float, optional
        From so many rows on the data warns or fails; by default one row fails.
    allow_unclear : bool
        Whether unclear counts as success, where a count can be unclear.
    """

    warn: float | None = pydantic.Field(default=None, ge=0)
    fail: float | None = pydantic.Field(default=1, ge=0)
    allow_unclear: bool = False

    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "warn", "fail", "allow_unclear")
    measure: ClassVar[str]
    own_keys: ClassVar[tuple[str, ...]] = ()
    """Fields that the metric depends on."""

    @pydantic.root_validator(skip_on_failure=True)  # type: ignore[untyped-decorator]
    def _limits(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805
        if values["mostly"] != 1:
            raise ValueError("mostly: say how many rows may be wrong with warn and fail, as in evenset.toml")
        if values["condition_parser"] is not None or values["row_condition"] is not None:
            raise ValueError("row_condition: these expectations look at all rows; hand over a batch of those you mean")
        cls.sound(values)
        return values

    @classmethod
    def sound(cls, values: dict[str, Any]) -> None:
        """Refuse fields that make no sense, and limits that do not."""
        sound_rule(measure=cls.measure, warn=values["warn"], fail=values["fail"])

    @property
    def rule(self) -> CheckRule:
        """The rule of a config that this is."""
        return CheckRule(measure=self.measure, axis=getattr(self, "axis", None), warn=self.warn, fail=self.fail)

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: Any = None, **kwargs: Any
    ) -> Any:
        """Ask for the two counts and nothing else, in whatever format results are wanted."""
        if execution_engine is not None and not isinstance(execution_engine, PandasExecutionEngine):
            raise InputError("expectations of evenset take pandas data frames; read the table into one first")
        full = super().get_validation_dependencies(execution_engine, {"result_format": "BOOLEAN_ONLY"}, **kwargs)
        for name in list(full.get_metric_names()):
            if name not in (f"{self.map_metric}.{_COUNT}", "table.row_count"):
                full.remove_metric_configuration(name)
        # What is asked for stays what is said of the result, or Great Expectations would cut it to true and false.
        wanted = super(ColumnMapExpectation, self).get_validation_dependencies(execution_engine, runtime_configuration)
        full.result_format = wanted.result_format
        return full

    def finding(self, count: int, rows: int) -> Finding:
        """The count as a finding; what else there is to say stands in its note."""
        return exact(self.measure, count, rows, axis=getattr(self, "axis", None) or "")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        rows, count = int(metrics["table.row_count"]), int(metrics[f"{self.map_metric}.{_COUNT}"])
        result: CheckResult = check([self.finding(count, rows)], [self.rule])
        return outcome(
            result,
            allow_unclear=self.allow_unclear,
            element_count=rows,
            unexpected_count=count,
            unexpected_percent=100 * count / rows if rows else 0.0,
        )

    @property
    def sentence(self) -> str:
        """What is expected, as it stands in the data docs."""
        limits = [f"{word} from {value:g} on" for word, value in (("fails", self.fail), ("warns", self.warn)) if value]
        return f"{self.about()}: {', '.join(limits) or 'any number'}"

    def about(self) -> str:
        """What is counted, in words."""
        raise NotImplementedError


def condition(frame: pd.DataFrame, wrong: npt.NDArray[np.bool_]) -> pd.Series:
    """Which rows are unexpected, as Great Expectations wants it."""
    import pandas as pd

    return pd.Series(wrong, index=frame.index, dtype=bool)


def column_of(frame: pd.DataFrame, name: str) -> Any:
    """A column of a data frame, as evenset reads it."""
    from ...data.errors import suggest
    from ...data.readers_arrow import to_table

    if name not in frame.columns:
        names = [str(one) for one in frame.columns]
        raise InputError(f'there is no column "{name}" in this batch.{suggest(name, names)}')
    table = to_table(frame[[name]])
    assert table is not None
    values = table.column(0).combine_chunks()
    return values.chunk(0) if hasattr(values, "chunks") and values.num_chunks else values


def whole(execution_engine: Any, domain: dict[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """All rows of a batch, and what has to be handed back with a condition on them."""
    found: tuple[Any, dict[str, Any], dict[str, Any]] = execution_engine.get_compute_domain(
        domain, domain_type=MetricDomainTypes.COLUMN
    )
    return found


def row_metric(function: Any) -> Any:
    """Register a function of (frame, column, own fields) as the condition of a map metric."""

    def inner(
        cls: Any,
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG001
        runtime_configuration: dict[str, Any],  # noqa: ARG001
    ) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        frame, compute, accessor = whole(execution_engine, metric_domain_kwargs)
        given = {key: metric_value_kwargs[key] for key in cls.condition_value_keys}
        return condition(frame, function(frame, accessor["column"], **given)), compute, accessor

    inner.__name__ = function.__name__
    return metric_partial(
        engine=PandasExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.MAP_CONDITION_SERIES,
        domain_type=MetricDomainTypes.COLUMN,
    )(inner)


# -- the words of an axis ---------------------------------------------------------------------------------------------


def holding_terms(frame: pd.DataFrame, column: str, axis: str, group: str | None = None) -> npt.NDArray[np.bool_]:
    """Rows whose text holds an unambiguous word of an axis, found as an audit finds them.

    Examples
    --------
    >>> import pandas as pd
    >>> holding_terms(pd.DataFrame({"text": ["She ran.", None, "They ran.", "It ran."]}), "text", "pronouns").tolist()
    [True, False, True, False]
    """
    import pyarrow as pa

    from ...data.axes import parse_axes
    from ...data.dataset import Dataset
    from ...data.scan import scan

    values = column_of(frame, column)
    wrong = np.zeros(len(frame), np.bool_)
    if not len(frame) or values.null_count == len(frame):
        return wrong
    axes = parse_axes([axis], names=())
    dataset = Dataset.of(pa.table({column: values}), text=column)
    plain_groups = {info.name for info in axes[0].groups or () if not info.ambiguous}
    wanted = plain_groups if group is None else {group}
    for scanned in scan(dataset, axes, columns=[]):
        member = scanned.members[axes[0].name]
        has = np.array([not wanted.isdisjoint(pattern) for pattern in member.patterns], np.bool_)
        wrong[scanned.batch.start : scanned.batch.start + scanned.batch.n] = has[member.code]
    return wrong


class EvensetTerms(ColumnMapMetricProvider):  # type: ignore[misc]
    """Rows without a word of an axis."""

    condition_metric_name = "column_values.evenset_no_terms"
    condition_value_keys = ("axis", "group")
    _pandas = row_metric(holding_terms)


class ExpectEvensetNoResidualIdentityTerms(EvensetRows):
    """No text holds an unambiguous word of the axis any more, as after a scrub.

    Attributes
    ----------
    axis : str
        A built-in lexicon ("pronouns", "identity", ...) or "lexicon:FILE".
    group : str, optional
        Only words of this group.
    """

    axis: str = "identity"
    group: str | None = None

    map_metric = "column_values.evenset_no_terms"
    measure = "residual_terms"
    success_keys: ClassVar[tuple[str, ...]] = (*EvensetRows.success_keys, "axis", "group")

    @classmethod
    def sound(cls, values: dict[str, Any]) -> None:
        """Refuse an axis that is no word list, and a group that it does not have or that is ambiguous."""
        from ...data.axes import parse_axes

        super().sound(values)
        try:
            axis = parse_axes([values["axis"]], names=())[0]
            if axis.lexicon is None:
                raise InputError(f'axis "{values["axis"]}" is no word list')
            if values["group"] is not None and axis.info(values["group"]).ambiguous:
                raise InputError(f'the words of "{values["group"]}" are ambiguous, so what is left of them says little')
        except InputError as error:
            raise ValueError(str(error)) from None

    @property
    def rule(self) -> CheckRule:
        """The rule of a config that this is."""
        name = self._axis_name()
        return CheckRule(measure=self.measure, axis=name, group=self.group, warn=self.warn, fail=self.fail)

    def finding(self, count: int, rows: int) -> Finding:
        """The count as a finding of the axis, or of the group."""
        return exact(self.measure, count, rows, axis=self._axis_name(), group=self.group)

    def _axis_name(self) -> str:
        from ...data.axes import parse_axes

        return parse_axes([self.axis], names=())[0].name

    def about(self) -> str:
        """What is counted, in words."""
        group = "" if self.group is None else f", group <b>{plain(self.group)}</b>"
        return f"rows whose <b>{plain(self.column)}</b> still holds a word of axis <b>{plain(self.axis)}</b>{group}"


# -- weights ----------------------------------------------------------------------------------------------------------


def invalid_weights(frame: pd.DataFrame, column: str) -> npt.NDArray[np.bool_]:
    """Rows whose weight is missing, negative or not finite.

    Examples
    --------
    >>> import pandas as pd
    >>> invalid_weights(pd.DataFrame({"weight": [1.0, 0.0, -1.0, float("nan"), float("inf")]}), "weight").tolist()
    [False, False, True, True, True]
    """
    from ...data.normalise import weights_of

    values = column_of(frame, column)
    if not len(frame) or values.null_count == len(frame):
        return np.ones(len(frame), np.bool_)
    return weights_of(values, column, lambda at: f"row {at + 1}", counted=True)[1]


class EvensetWeights(ColumnMapMetricProvider):  # type: ignore[misc]
    """Rows with a valid weight."""

    condition_metric_name = "column_values.evenset_weight_valid"
    condition_value_keys = ()
    _pandas = row_metric(invalid_weights)


class ExpectEvensetWeightsValid(EvensetRows):
    """Every row has a weight that is finite and not negative."""

    map_metric = "column_values.evenset_weight_valid"
    measure = "invalid_weights"

    def about(self) -> str:
        """What is counted, in words."""
        return f"rows whose weight <b>{plain(self.column)}</b> is missing, negative or not finite"


__all__ = [
    "EvensetRows",
    "ExpectEvensetNoResidualIdentityTerms",
    "ExpectEvensetWeightsValid",
    "holding_terms",
    "invalid_weights",
    "row_metric",
]
