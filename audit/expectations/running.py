"""Running a suite: the checkpoint, its verdict in our words, and the data docs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.errors import InputError
from ...data.logs import hushed
from ..findings import Finding, Status
from .gx import great_expectations
from .table import findings_frame

if TYPE_CHECKING:
    import pandas as pd

    from ..report import AuditReport

_SITE = "evenset"
_ORDER: tuple[Status, ...] = ("fail", "unclear", "warn", "pass")


@dataclass(frozen=True, slots=True)
class Validation:
    """What became of a suite.

    Attributes
    ----------
    result : great_expectations.checkpoint.CheckpointResult
    success : bool
        Whether every expectation succeeded.
    status : {"pass", "warn", "fail", "unclear"}
        The worst outcome: fail before unclear before warn before pass, as in `CheckResult`. An expectation of another
        package passes or fails.
    counts : dict of status to int
        Cases, as in `CheckResult.counts`.
    docs : Path or None
        The first page of the data docs.
    idle : int
        Rules that found nothing to judge.
    """

    result: Any
    success: bool
    status: Status
    counts: dict[Status, int]
    docs: Path | None = None
    idle: int = 0

    def exit_code(self, *, allow_unclear: bool = False) -> int:
        """As `evenset check`: 0 passed, 1 failed, 3 unclear."""
        if self.status == "unclear":
            return 0 if allow_unclear and not self.idle else 3
        return 1 if self.status == "fail" else 0


def checkpoint(suite: Any, *, context: Any = None, name: str = "evenset", data_docs: bool = True) -> Any:
    """What runs a suite on a data frame: ``checkpoint(suite).run(batch_parameters={"dataframe": frame})``.

    Parameters
    ----------
    suite : great_expectations.ExpectationSuite
        What is run.
    context : optional
        A context of Great Expectations, in which data source, suite, validation and checkpoint of this `name` are made
        or replaced; by default one that is gone with the process.
    name : str
        Of all of these.
    data_docs : bool
        Whether a run brings the context's data docs up to date.

    Returns
    -------
    great_expectations.Checkpoint
        Its results are in the format SUMMARY; those of our expectations never hold rows.

    Raises
    ------
    InputError
        When the suite is empty: it would pass whatever the data is.
    """
    if not suite.expectations:
        raise InputError(
            f'the suite "{suite.name}" has no expectation, so it would pass whatever the data is; make one of a '
            "config with [[check]] rules: suite(config)"
        )
    context = quiet_context() if context is None else context
    source = context.data_sources.add_or_update_pandas(name=name)
    asset = source.add_dataframe_asset(name=name)
    batch = asset.add_batch_definition_whole_dataframe(name)
    suite = context.suites.add_or_update(suite)
    validation = context.validation_definitions.add_or_update(
        great_expectations.ValidationDefinition(name=name, data=batch, suite=suite)
    )
    made = great_expectations.Checkpoint(
        name=name,
        validation_definitions=[validation],
        actions=[great_expectations.checkpoint.UpdateDataDocsAction(name="data docs")] if data_docs else [],
        result_format="SUMMARY",
    )
    return context.checkpoints.add_or_update(made)


def validate(
    found: AuditReport | Iterable[Finding] | pd.DataFrame, suite: Any, *, out: str | Path | None = None
) -> Validation:
    """Run a suite, on the findings of an audit or on rows, and write the data docs.

    Parameters
    ----------
    found : AuditReport, iterable of Finding, or DataFrame
        The batch; a data frame is taken as it is.
    suite : great_expectations.ExpectationSuite
        What is run.
    out : path, optional
        The data docs are written to its folder `gx`, whole or not at all.

    Returns
    -------
    Validation

    Raises
    ------
    InputError
        When the suite is empty, or an expectation could not be evaluated: says why.
    """
    import pandas as pd

    frame = found if isinstance(found, pd.DataFrame) else findings_frame(found)
    if out is None:
        return _validated(frame, suite, None)
    from ...data.files import atomic_folder

    target = Path(out) / "gx"
    with atomic_folder(target) as folder:
        done = _validated(frame, suite, folder)
    return Validation(done.result, done.success, done.status, done.counts, target / "index.html", done.idle)


def _validated(frame: pd.DataFrame, suite: Any, folder: Path | None) -> Validation:
    context = quiet_context(folder)
    with hushed("great_expectations", logging.CRITICAL):  # what went wrong is in the results, and said by us
        result = checkpoint(suite, context=context, data_docs=folder is not None).run(
            batch_parameters={"dataframe": frame}, run_id=great_expectations.RunIdentifier(run_name="evenset")
        )
    run = next(iter(result.run_results.values()))
    if len(run.results) < len(suite.expectations):
        raise InputError(f"only {len(run.results)} of {len(suite.expectations)} expectations were evaluated")
    counts: dict[Status, int] = dict.fromkeys(("fail", "warn", "unclear", "pass"), 0)
    statuses: list[Status] = []
    for one in run.results:
        if not one.result and not one.success:
            raise InputError(_why(one))
        own: Status = (one.result or {}).get("status") or ("pass" if one.success else "fail")
        statuses.append(own)
        for status, number in ((one.result or {}).get("counts") or {own: 1}).items():
            counts[status] += number
    worst = next(status for status in _ORDER if status in statuses)
    idle = sum((one.result or {}).get("idle", 0) for one in run.results)
    return Validation(result, bool(result.success), worst, counts, idle=idle)


def _why(one: Any) -> str:
    """Why an expectation could not be evaluated."""
    about = one.exception_info or {}
    nested = [about, *(value for value in about.values() if isinstance(value, dict))]
    said = next((str(item["exception_message"]) for item in nested if item.get("exception_message")), "no reason given")
    return f"{one.expectation_config.type}: {said}"


def quiet_context(folder: Path | None = None) -> Any:
    """A context of ours: gone with the process, no progress bars, no analytics, data docs in `folder` if anywhere."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # The default would make a folder for data docs that nobody asked for.
    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(
        store_backend_defaults=stores, progress_bars=ProgressBarsConfig(globally=False), analytics_enabled=False
    )
    context = great_expectations.get_context(mode="ephemeral", project_config=config)
    if folder is not None:
        context.add_data_docs_site(
            _SITE,
            {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
            },
        )
    return context
