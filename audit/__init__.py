"""Room of the counts: how unequal a dataset is, and how sure that is. It changes no row.

One pass gives a `Tally`, exact counts that add in any order. Every measure of the one table (`MEASURES`) is a function
from a tally to findings; rules turn the interval of a finding into pass, warn, fail or unclear. `run` does all of it,
`check` holds a report against a config's rules for CI, `init_config` writes a first config from today's data.
"""

from __future__ import annotations

from .check import CheckResult, check
from .findings import Finding
from .measures import MEASURES, measures_markdown
from .pipeline import run
from .report import AuditReport
from .starter import init_config
from .tally import Tally

__all__ = [
    "MEASURES",
    "AuditReport",
    "CheckResult",
    "Finding",
    "Tally",
    "check",
    "init_config",
    "measures_markdown",
    "run",
]
