"""The expectations on a batch as a whole, each about some measures."""

from __future__ import annotations

from ..measures import MEASURES
from ..sections import COUNTS
from .base import EvensetExpectation

GAPS = ("label_rate_gap", "label_parity_max")
LEAKAGE = ("leakage_auc",)
REPRESENTATION = ("representation", "representation_ratio")
ASSOCIATION = tuple(
    name for name, measure in MEASURES.items() if measure.function is not None and name not in (*COUNTS, *GAPS)
)


class ExpectEvensetAssociationBelow(EvensetExpectation):
    """Label and group go together less than the limits say, by any measure of association.

    Examples
    --------
    >>> one = ExpectEvensetAssociationBelow(measure="label_log_ratio", axis="identity", fail=0.5)
    >>> one.expectation_type
    'expect_evenset_association_below'
    """

    measures = ASSOCIATION
    measure: str = "cramers_v"


class ExpectEvensetLabelRateGapBelow(EvensetExpectation):
    """The label is about as frequent in a group as outside, as a difference of rates."""

    measures = GAPS
    measure: str = "label_rate_gap"


class ExpectEvensetRepresentationWithin(EvensetExpectation):
    """A group has its share of the rows: against a reference (`representation_ratio`), or between limits."""

    measures = REPRESENTATION
    measure: str = "representation_ratio"


class ExpectEvensetLeakageBelow(EvensetExpectation):
    """A linear probe cannot tell the group from the text once the axis's own words are hidden."""

    measures = LEAKAGE
    measure: str = "leakage_auc"


class ExpectEvensetMeasureWithin(EvensetExpectation):
    """Limits on any measure there is, where none of the others fits."""
