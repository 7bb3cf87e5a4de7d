"""A check as JUnit XML, which CI systems show: fail is a failure, unclear an error, warn a note."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .words import rule_text

if TYPE_CHECKING:
    from ..check import CheckResult


def junit(result: CheckResult) -> bytes:
    """The cases as one test suite."""
    counts = result.counts
    suite = ElementTree.Element(
        "testsuite",
        name="evenset check",
        tests=str(len(result.cases)),
        failures=str(counts["fail"]),
        errors=str(counts["unclear"]),
        skipped="0",
    )
    for case in result.cases:
        where = f"evenset.{case.rule.measure}" + (f".{case.finding.axis}" if case.finding and case.finding.axis else "")
        item = ElementTree.SubElement(suite, "testcase", classname=_xml(where), name=_xml(case.name))
        if case.status in ("fail", "unclear"):
            tag = "failure" if case.status == "fail" else "error"
            ElementTree.SubElement(item, tag, type=case.status, message=_xml(case.message)).text = _xml(
                rule_text(case.rule)
            )
        elif case.status == "warn":
            ElementTree.SubElement(item, "system-out").text = _xml(f"warning: {case.message}")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold: those are spelt out."""
    return "".join(char if _allowed(ord(char)) else f"\\x{ord(char):02x}" for char in text)


def _allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
