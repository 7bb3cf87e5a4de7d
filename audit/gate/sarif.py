"""A check as SARIF 2.1.0 (OASIS 2020), which code hosts show beside the files of a change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ... import __version__
from ..measures import MEASURES

if TYPE_CHECKING:
    from ..check import Case, CheckResult

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {"fail": "error", "warn": "warning", "unclear": "note", "pass": "note"}


def sarif(result: CheckResult) -> dict[str, Any]:
    """What did not pass and what is known from a baseline; errors fail, warnings warn, notes are unclear or known."""
    shown = [case for case in result.cases if case.status != "pass" or case.known]
    names = list(dict.fromkeys(case.rule.measure for case in shown))
    places = [_place(path) for path in result.sources[:1]]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "evenset",
                        "version": __version__,
                        "rules": [_rule(name) for name in names],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": True, "exitCode": result.exit_code()}],
                "results": [_result(case, names.index(case.rule.measure), places) for case in shown],
            }
        ],
    }


def _rule(name: str) -> dict[str, Any]:
    measure = MEASURES[name]
    return {
        "id": f"evenset/{name}",
        "name": name,
        "shortDescription": {"text": measure.summary},
        "fullDescription": {"text": f"{measure.formula} ({measure.source}); range {measure.range}"},
    }


def _result(case: Case, index: int, places: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "ruleId": f"evenset/{case.rule.measure}",
        "ruleIndex": index,
        "level": _LEVEL[case.status],
        "message": {"text": _plain(case.message)},
        "locations": places,
        # What names the same finding in the next run, whatever its numbers.
        "partialFingerprints": {"evenset/finding": _plain(case.name)},
    }


def _place(path: Path) -> dict[str, Any]:
    """A file relative to the working directory; a line is wanted by code hosts, and data has no line to blame."""
    relative = Path(os.path.relpath(path)).as_posix()
    artifact = {"uri": quote(os.fsencode(relative))}
    if not relative.startswith("../"):
        artifact["uriBaseId"] = "%SRCROOT%"
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}}


def _plain(text: str) -> str:
    """Control characters spelt out; braces and brackets are links and placeholders in a message, so doubled."""
    from .markdown import spelt_out

    return spelt_out(text).replace("{", "{{").replace("}", "}}").replace("[", "\\[").replace("]", "\\]")
