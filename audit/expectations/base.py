"""What the batch expectations share: their fields, the one judge behind them, and how they are shown."""

from __future__ import annotations

import json
from abc import ABC
from typing import Any, ClassVar, Literal

from ...data.config import CheckRule
from ...data.errors import InputError, suggest
from ..check import CheckResult, check
from ..findings import Finding, rounded
from ..measures import MEASURES, known_measure
from ..sections import FROM_ROWS, QUICK
from .gx import (
    BatchExpectation,
    MetricConfiguration,
    PandasExecutionEngine,
    pydantic,
)
from .metrics import NAME
from .shown import Shown
from .words import describe, said

RULE = ("measure", "axis", "group", "of_label", "warn", "fail", "warn_below", "fail_below")
COLUMNS = ("text", "label", "positive", "label_threshold", "weight", "cluster", "preset", "count_bad_weights")
NOTHING = "pass: nothing to judge, as narrower rules decide here"
_SHOWN = 20


class EvensetExpectation(Shown, BatchExpectation, ABC):  # type: ignore[misc]
    """Limits on findings of one measure: a rule of a config's `[[check]]` as an expectation.

    It succeeds exactly where `evenset check` with this rule exits with 0: passed, or passed with warnings. `unclear`,
    an interval that holds a limit, is no success unless `allow_unclear` is set. `result["status"]` tells the four
    outcomes apart and `result["exit_code"]` is that of `evenset check`.

    The batch is the table of findings (`findings_frame`), or, with `text`, a data frame of one's own that is audited.

    Attributes
    ----------
    measure : str
        A name of the table of measures that this expectation is for.
    axis, group, of_label : str, optional
        Narrow what it applies to. `of_label` is a value of the label (the `label` of a rule).
    warn, fail : float, optional
        Limits of the absolute value: beyond them the data warns or fails.
    warn_below, fail_below : float, optional
        Limits of the value from below.
    allow_unclear : bool
        Whether unclear counts as success.
    unless : list of dict
        Narrower rules (axis, group, label) that decide instead of this one; `suite` fills it in.
    text, label, positive, label_threshold, weight, cluster, preset : optional
        Columns of a data frame of one's own, as in `evenset.data.open`.
    count_bad_weights : bool, optional
        Rows with an invalid weight weigh 0 and are no error, as in `evenset check` with a rule on invalid_weights.
    axes : list of str or "auto", optional
        What the data frame is audited for; by default `axis`, "auto" is what `evenset check` would take.
    reference : dict, optional
        Shares that representation is compared with.
    seed : int
    """

    measure: str
    axis: str | None = None
    group: str | None = None
    of_label: str | None = None
    warn: float | None = None
    fail: float | None = None
    warn_below: float | None = None
    fail_below: float | None = None
    allow_unclear: bool = False
    unless: list[dict[str, str | None]] = []  # noqa: RUF012 - pydantic copies defaults
    text: str | None = None
    label: str | None = None
    positive: str | None = None
    label_threshold: float | None = None
    weight: str | None = None
    cluster: str | None = None
    preset: str | None = None
    count_bad_weights: bool | None = None
    axes: Literal["auto"] | list[str] | None = None
    reference: dict[str, dict[str, float]] | None = None
    seed: int = 0

    metric_dependencies: ClassVar[tuple[str, ...]] = (NAME,)
    success_keys: ClassVar[tuple[str, ...]] = (*RULE, *COLUMNS, "allow_unclear", "unless", "axes", "reference", "seed")
    measures: ClassVar[tuple[str, ...]] = ()
    """Those that this expectation is for; empty: all."""

    @pydantic.root_validator(skip_on_failure=True)  # type: ignore[untyped-decorator]
    def _sound(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805
        try:
            measure = known_measure(values["measure"]).name
        except InputError as error:
            raise ValueError(str(error)) from None
        if cls.measures and measure not in cls.measures:
            raise ValueError(f'{cls.__name__} is not about "{measure}", but about {", ".join(cls.measures)}')
        for other in values["unless"]:
            wrong = next((key for key in other if key not in ("axis", "group", "label")), None)
            if wrong is not None:
                raise ValueError(f'unless: "{wrong}" is none of axis, group, label.{suggest(wrong, ["axis", "group"])}')
        given = next((name for name in (*COLUMNS[1:], "axes", "reference") if values[name] is not None), None)
        if given is not None and values["text"] is None:
            raise ValueError(f"{given} is for a data frame of your own; name the column of its text too: text=...")
        rule_in(values)
        return values

    @property
    def rule(self) -> CheckRule:
        """The rule of a config that this is."""
        return rule_in({name: getattr(self, name) for name in RULE})

    def get_validation_dependencies(self, execution_engine: Any = None, runtime_configuration: Any = None) -> Any:
        """Ask for the findings, with all that they depend on as one value."""
        if execution_engine is not None and not isinstance(execution_engine, PandasExecutionEngine):
            raise InputError("expectations of evenset take pandas data frames; read the table into one first")
        wanted = super().get_validation_dependencies(execution_engine, runtime_configuration)
        one = wanted.get_metric_configuration(NAME)
        wanted.set_metric_configuration(
            NAME,
            MetricConfiguration(
                metric_name=NAME,
                metric_domain_kwargs=one.metric_domain_kwargs,
                metric_value_kwargs={"asked": json.dumps(self._asked(), sort_keys=True)},
            ),
        )
        return wanted

    def _asked(self) -> dict[str, Any]:
        if self.text is None:
            return {}
        axes: Any = self.axes
        if axes is None:
            axes = "auto" if self.axis is None else [self.axis]
        section = self.measure if MEASURES[self.measure].asked else FROM_ROWS.get(self.measure)
        return {
            "columns": {name: value for name in COLUMNS if (value := getattr(self, name)) is not None},
            "axes": axes,
            "reference": self.reference,
            "measures": list(QUICK) if section is None else [section],
            "seed": self.seed,
        }

    def judge(self, findings: tuple[Finding, ...]) -> CheckResult:
        """What `evenset check` makes of these findings by this rule, in the company of the narrower ones."""
        rule = self.rule
        nowhere = {"axis": None, "group": None, "label": None}
        others = [rule.model_copy(update=nowhere | other) for other in self.unless]
        return CheckResult(tuple(case for case in check(findings, [rule, *others]).cases if case.rule is rule))

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        return outcome(self.judge(metrics[NAME]), allow_unclear=self.allow_unclear)

    @property
    def sentence(self) -> str:
        """What is expected, as it stands in the data docs."""
        return describe(self.rule, allow_unclear=self.allow_unclear)


def rule_in(values: dict[str, Any]) -> CheckRule:
    """The rule that an expectation's fields describe."""
    given = {name: values[name] for name in RULE if values[name] is not None}
    if "of_label" in given:
        given["label"] = given.pop("of_label")
    return sound_rule(**given)


def sound_rule(**given: Any) -> CheckRule:
    """A rule of a config, or a ValueError that says in one line what is wrong with its limits."""
    from pydantic import ValidationError

    try:
        return CheckRule(**given)
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None


def outcome(result: CheckResult, *, allow_unclear: bool, **more: Any) -> dict[str, Any]:
    """A result of ours as one of Great Expectations: success, and the numbers behind it."""
    rank = {"fail": 0, "unclear": 1, "warn": 2, "pass": 3}
    ordered = sorted(result.cases, key=lambda case: rank[case.status])
    worst = ordered[0] if ordered else None
    shown: dict[str, Any] = {"status": result.status}
    if worst is not None and worst.finding is not None:
        one = worst.finding
        numbers = {name: rounded(getattr(one, name)) for name in ("estimate", "low", "high")}
        shown = {"measure": one.measure, "axis": one.axis, "group": one.group, "label": one.label,
                 **numbers, "n": one.n, "status": result.status}  # fmt: skip
    return {
        "success": result.exit_code(allow_unclear=allow_unclear) == 0,
        "result": {
            "observed_value": shown,
            "status": result.status,
            "exit_code": result.exit_code(allow_unclear=allow_unclear),
            "counts": dict(result.counts),
            **({"idle": result.idle} if result.idle else {}),
            "findings": [f"{case.status}: {said(case)}" for case in ordered[:_SHOWN]] or [NOTHING],
            **more,
        },
    }


def measures_of(expectation: type[EvensetExpectation]) -> tuple[str, ...]:
    """The measures that an expectation takes."""
    return expectation.measures or tuple(MEASURES)
