"""Room of the changes: rows in, curated rows and a ledger of every change out. It measures nothing itself.

A plan edits words (`scrub`, `swap`), copies and adds rows (`swap` with augment, `topup`), selects rows (`resample`) and
weights them (`reweight`), in this order. Everything random is a function of seed and row key, so neither the order of
the rows nor the size of a batch matters; every step has a placebo. `run` applies a plan, `prepare` readies a dataset
for many runs, `restore` undoes a curation from its ledger, `preview` says from an audit's counts what steps would do,
`search` finds the smallest of the plans it tries that brings findings under limits, `explain` says what happened to a
row and why. Its own rooms: words, selection, book (the ledger), finding (the search) and writing (files, parts,
processes).
"""

from __future__ import annotations

from .book.explain import Explained, explain
from .book.ledger import SCHEMA
from .book.restore import restore
from .curation import ROWS, Curation, run
from .finding.found import Found
from .finding.search import ALLOWED, search
from .prepare import Prepared, prepare
from .preview import preview

__all__ = [
    "ALLOWED",
    "ROWS",
    "SCHEMA",
    "Curation",
    "Explained",
    "Found",
    "Prepared",
    "explain",
    "prepare",
    "preview",
    "restore",
    "run",
    "search",
]
