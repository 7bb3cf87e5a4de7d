"""A suite from a config's rules, and as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.errors import InputError, suggest
from ...data.lexicon import builtin_names
from ..check import check
from ..findings import Finding
from ..rules import applies, rule_for
from .base import COLUMNS, EvensetExpectation
from .batch import (
    ExpectEvensetAssociationBelow,
    ExpectEvensetLabelRateGapBelow,
    ExpectEvensetLeakageBelow,
    ExpectEvensetMeasureWithin,
    ExpectEvensetRepresentationWithin,
)
from .gx import VERSION, ExpectationConfiguration, great_expectations, pydantic
from .rows import EvensetRows, ExpectEvensetNoResidualIdentityTerms, ExpectEvensetWeightsValid

if TYPE_CHECKING:
    from ...data.config import CheckRule, Config

SCHEMA = "evenset.expectations/1"
PREFIX = "expect_evenset_"
NAMED: tuple[type[EvensetExpectation], ...] = (
    ExpectEvensetAssociationBelow,
    ExpectEvensetLabelRateGapBelow,
    ExpectEvensetRepresentationWithin,
    ExpectEvensetLeakageBelow,
)


def suite(config: Config, *, rows: bool = False, name: str = "evenset", allow_unclear: bool = False) -> Any:
    """The rules of a config as a suite, one expectation a rule.

    Parameters
    ----------
    config : Config
        From `evenset.data.config.load`.
    rows : bool
        The suite is for a data frame of the rows themselves, whose columns the config's `[data]` names; by default it
        is for the table of findings (`findings_frame`).
    name : str
        Of the suite.
    allow_unclear : bool
        Whether unclear counts as success.

    Returns
    -------
    great_expectations.ExpectationSuite

    Raises
    ------
    InputError
        When there are no rules, one names a measure that does not exist, or with `rows` no column of the text is named.

    Examples
    --------
    >>> from evenset.data.config import parse
    >>> config = parse({"check": [{"measure": "label_log_ratio", "axis": "identity", "fail": 0.5}]})
    >>> [one.expectation_type for one in suite(config).expectations]
    ['expect_evenset_association_below']
    """
    check((), config.check)  # no rules, or rules that cannot be used
    own = _own(config) if rows else {}
    made = []
    for rule in config.check:
        unless = _narrower(rule, config.check)
        one = _of_rows(rule, own, allow_unclear=allow_unclear) if rows and not unless else None
        made.append(one or _expectation(rule, unless, {"allow_unclear": allow_unclear, **own}))
    from ... import __version__

    meta = {"evenset": {"schema": SCHEMA, "version": __version__}, "great_expectations_version": VERSION}
    return great_expectations.ExpectationSuite(name=name, expectations=made, meta=meta)


def _of_rows(rule: CheckRule, own: dict[str, Any], *, allow_unclear: bool) -> EvensetRows | None:
    """The expectation on each row that says the same, where there is one; what is left is counted by an audit."""
    given = rule.model_dump(exclude_none=True, exclude={"measure"})
    if not given.keys() <= {"axis", "warn", "fail"}:
        return None
    limits = {"warn": rule.warn, "fail": rule.fail, "allow_unclear": allow_unclear}
    if rule.measure == "invalid_weights" and rule.axis is None and own["weight"] is not None:
        return _severe(ExpectEvensetWeightsValid, column=own["weight"], **limits)
    words = rule.axis in own["axes"] and rule.axis in builtin_names()
    if rule.measure == "residual_terms" and own["axes"] != "auto" and words:
        return _severe(ExpectEvensetNoResidualIdentityTerms, column=own["text"], axis=rule.axis, **limits)
    return None


def _severe(kind: Any, **given: Any) -> Any:
    """An expectation that is less severe where only a warning was wanted; older releases know no severity."""
    worst = "critical" if any(given.get(name) is not None for name in ("fail", "fail_below")) else "warning"
    return kind(**given, **({"severity": worst} if "severity" in kind.__fields__ else {}))


def _expectation(rule: CheckRule, unless: list[dict[str, str | None]], common: dict[str, Any]) -> EvensetExpectation:
    kind = next((one for one in NAMED if rule.measure in one.measures), ExpectEvensetMeasureWithin)
    given = rule.model_dump(exclude_none=True, exclude={"warn_change", "fail_change"})
    if "label" in given:
        given["of_label"] = given.pop("label")
    made: EvensetExpectation = _severe(kind, **given, **common, unless=unless)
    return made


def _narrower(rule: CheckRule, rules: Sequence[CheckRule]) -> list[dict[str, str | None]]:
    """The rules that decide instead of this one where both apply."""
    found: list[dict[str, str | None]] = []
    for other in rules:
        both = Finding(
            axis=rule.axis or other.axis or "",
            group=rule.group if rule.group is not None else other.group,
            label=rule.label if rule.label is not None else other.label,
            measure=rule.measure, estimate=0, low=0, high=0, n=0, method="",
        )  # fmt: skip
        if other is not rule and applies(rule, both) and applies(other, both):
            pair = [one for one in rules if one is rule or one is other]
            if rule_for(both, pair) is other:
                found.append({"axis": other.axis, "group": other.group, "label": other.label})
    return found


def _own(config: Config) -> dict[str, Any]:
    """What an audit of the rows has to know, in the words of the config."""
    data = config.data
    if data.text is None:
        raise InputError("a suite for rows has to know their columns: name [data] text in the config")
    if data.format is not None or data.roles is not None:
        raise InputError("conversations are no column of texts; make the suite for the table of findings")
    given = {name: getattr(data, name) for name in COLUMNS if name != "count_bad_weights"}
    given["cluster"] = data.cluster if isinstance(data.cluster, str) else None
    given["count_bad_weights"] = True if any(rule.measure == "invalid_weights" for rule in config.check) else None
    axes = list(data.axes) if "axes" in data.model_fields_set else "auto"
    return {**given, "axes": axes, "reference": config.reference or None}


def save_suite(suite: Any, path: str | Path) -> None:
    """Write a suite as JSON, whole or not at all."""
    from ...data.files import write_json

    write_json(path, suite.to_json_dict())


def load_suite(path: str | Path) -> Any:
    """Read a suite that `save_suite`, or a project of Great Expectations, wrote.

    Unlike Great Expectations, which leaves out what it cannot read, this takes a suite whole or not at all.

    Raises
    ------
    InputError
        When the file is missing or no suite, it was written by another version of Great Expectations or of these
        expectations, it has no expectation, or one of them cannot be used: one message that says which.
    """
    path = Path(path)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f'there is no suite "{path}"; evenset.audit.expectations.save_suite writes one') from None
    except (OSError, ValueError) as error:
        raise InputError(f'"{path}" cannot be read as a suite: {error}') from None
    if not isinstance(raw, dict) or not isinstance(raw.get("expectations"), list):
        raise InputError(f'"{path}" is no suite of Great Expectations 1.x: it has no list of expectations')
    meta = raw.get("meta") if isinstance(raw.get("meta"), dict) else {}
    written = str(meta.get("great_expectations_version") or meta.get("great_expectations.__version__") or "unknown")
    ours = meta.get("evenset") if isinstance(meta.get("evenset"), dict) else {}
    again = "write it anew with suite(config) and save_suite"
    if written.split(".")[0] not in ("unknown", VERSION.split(".")[0]) or "expectation_suite_name" in raw:
        raise InputError(f'"{path}" was written by Great Expectations {written}, and this is {VERSION}; {again}')
    if ours.get("schema", SCHEMA) != SCHEMA:
        raise InputError(
            f'"{path}" holds expectations of the form {ours["schema"]} (evenset {ours.get("version")}), and this '
            f"evenset reads {SCHEMA}; {again}"
        )
    if not raw["expectations"]:
        raise InputError(f'the suite "{path}" has no expectation, so it would pass whatever the data is; {again}')
    made = []
    for at, one in enumerate(raw["expectations"], 1):
        try:
            made.append(_read(one))
        except InputError as error:
            raise InputError(
                f'expectation {at} of the suite "{path}" (written by Great Expectations {written}, this is {VERSION}): '
                f"{error}"
            ) from None
    name = raw.get("name")
    return great_expectations.ExpectationSuite(
        name=name if isinstance(name, str) and name else "evenset",
        expectations=made, suite_parameters=raw.get("suite_parameters"), meta=meta, notes=raw.get("notes"),
    )  # fmt: skip


def _read(one: Any) -> Any:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    if not isinstance(one, dict) or not isinstance(one.get("type"), str) or not isinstance(one.get("kwargs"), dict):
        raise InputError("it has no type and kwargs")
    kind = one["type"]
    known = list_registered_expectation_implementations()
    if kind not in known:
        near = [name for name in known if name.startswith(PREFIX)] if kind.startswith(PREFIX) else known
        raise InputError(f'there is no "{kind}".{suggest(kind, near)}')
    given = {name: value for name, value in one.items() if name != "id"}
    try:
        fields = get_expectation_impl(kind).__fields__
        given = {name: value for name, value in given.items() if name in ("type", "kwargs", "meta") or name in fields}
        return ExpectationConfiguration(**given).to_domain_obj()
    except pydantic.ValidationError as error:
        raise InputError("; ".join(_problem(item, fields) for item in error.errors())) from None
    except (GreatExpectationsError, TypeError, ValueError) as error:
        raise InputError(str(error)) from None


def _problem(item: dict[str, Any], fields: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"] if part != "__root__")
    message = str(item["msg"])
    if item["type"] == "value_error.extra":
        return f'unknown field "{key}".{suggest(key, fields)}'
    return f"{key}: {message}" if key else message
