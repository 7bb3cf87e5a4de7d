"""Room of the expectations: evenset in a Great Expectations project. It computes nothing of its own.

`import evenset.audit.expectations` registers the expectations, so that suites that name them can be used. Hand Great
Expectations the table of findings (`findings_frame`), or name the columns of a data frame of your own (``text=``,
``label=``), which is then audited once a batch. `suite` makes one expectation of each ``[[check]]`` rule of a config,
`checkpoint` what runs it, `validate` does both and writes the data docs. Every expectation is judged by
`evenset.audit.check`, so the verdict is that of `evenset check`.
"""

from __future__ import annotations

from .base import EvensetExpectation
from .batch import (
    ExpectEvensetAssociationBelow,
    ExpectEvensetLabelRateGapBelow,
    ExpectEvensetLeakageBelow,
    ExpectEvensetMeasureWithin,
    ExpectEvensetRepresentationWithin,
)
from .metrics import EvensetFindings
from .rows import EvensetRows, ExpectEvensetNoResidualIdentityTerms, ExpectEvensetWeightsValid
from .running import Validation, checkpoint, validate
from .suite import load_suite, save_suite, suite
from .table import findings_frame, findings_of

__all__ = [
    "EvensetExpectation",
    "EvensetFindings",
    "EvensetRows",
    "ExpectEvensetAssociationBelow",
    "ExpectEvensetLabelRateGapBelow",
    "ExpectEvensetLeakageBelow",
    "ExpectEvensetMeasureWithin",
    "ExpectEvensetNoResidualIdentityTerms",
    "ExpectEvensetRepresentationWithin",
    "ExpectEvensetWeightsValid",
    "Validation",
    "checkpoint",
    "findings_frame",
    "findings_of",
    "load_suite",
    "save_suite",
    "suite",
    "validate",
]
