"""Single words of the lists and the labels they stand with."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from ...data.showing import clipped
from ..findings import MINIMUM_ROWS
from ..intervals import wilson
from ..page.document import Section, beside, computed
from ..page.html import Html, join, tag
from ..page.plot.heat import Spot, heat
from ..page.table import Column, table
from ..scorecard import speaker
from .wording import percent, share, shares

if TYPE_CHECKING:
    from ..report import AuditReport

MOST_TERMS, MOST_LABELS, MOST_ROWS = 30, 12, 400


def term_section(report: AuditReport) -> Section | None:
    """Word by label, a heat map a word list."""
    parts = [
        part
        for at, lexicon in enumerate(report.tally.terms)
        if (part := _lexicon(report, lexicon, f"terms-{at + 1}")) is not None
    ]
    if not parts:
        return None
    lead = "Which words of the lists stand behind the groups, and how often rows with each have each label."
    return Section("terms", "Single words by label", join(parts), lead)


def _lexicon(report: AuditReport, lexicon: str, anchor: str) -> Html | None:
    tally = report.tally
    rows_of: dict[str, int] = report.coverage["labels"]
    total = sum(rows_of.values())
    documents: dict[str, dict[str, int]] = defaultdict(dict)
    for (form, label), count in tally.terms[lexicon].items():
        if label is not None:
            documents[form][label] = documents[form].get(label, 0) + count
    sums = {form: sum(by.values()) for form, by in documents.items()}
    forms = sorted((form for form in sums if sums[form] >= MINIMUM_ROWS), key=lambda form: (-sums[form], form))
    if not forms or not total:
        return None
    positive = report.settings.positive
    every = (
        [positive]
        if positive in rows_of and len(rows_of) == 2
        else sorted(rows_of, key=lambda name: (-rows_of[name], name))
    )
    labels = [str(label) for label in every[:MOST_LABELS]]
    shown = forms[:MOST_TERMS]
    x = np.array([[documents[form].get(label, 0) for label in labels] for form in shown], dtype=float)
    n = np.array([[sums[form]] * len(labels) for form in shown], dtype=float)
    found = wilson(x, n, level=report.settings.level)
    spots = {}
    listed: list[list[object]] = []
    for i, form in enumerate(shown):
        for j, label in enumerate(labels):
            base = rows_of[label] / total
            low, high = float(found.low[i, j]), float(found.high[i, j])
            away = None if low <= base <= high else math.log(max(float(x[i, j]), 0.5) / n[i, j] / base)
            rate = float(x[i, j] / n[i, j])
            spots[i, j] = Spot(
                percent(rate), away, f"{percent(low)} to {percent(high)}; {int(x[i, j]):,} of {int(n[i, j]):,} rows"
            )
            listed.append([clipped(form), clipped(label), share(rate), shares(low, high), int(x[i, j]), sums[form]])
    say = speaker(report)
    cut = [f"the {len(shown)} of {len(forms):,} words with most rows"] if len(forms) > len(shown) else []
    cut += [f"the {len(labels)} of {len(every):,} labels with most rows"] if len(every) > len(labels) else []
    chart = heat(
        [f"{clipped(form, 40)} ({sums[form]:,})" for form in shown],
        [f"{clipped(say.label(label), 40)} (all rows {percent(rows_of[label] / total)})" for label in labels],
        spots,
        title=f"Word list {lexicon}: the label's share among rows with each word"
        + (f" ({' and '.join(cut)})" if cut else ""),
        corner="word (rows)",
        sides=("rarer than in all rows", "more often"),
        anchor=f"{anchor}-heat",
    )
    columns = [
        Column("word", "long"),
        Column("label"),
        Column("share", "number"),
        Column("interval", "number"),
        Column("rows with both", "number"),
        Column("rows with the word", "number"),
    ]
    remark = f"The first {MOST_ROWS} of {len(listed):,}." if len(listed) > MOST_ROWS else ""
    data = table(
        columns, listed[:MOST_ROWS], caption=f"Words of {lexicon} by label", anchor=f"{anchor}-table", remark=remark
    )
    bound = len(sums) - len(forms)
    note = computed(
        "Rows with the word that have the label, over rows with the word; Wilson 1927. Shaded where the interval "
        "leaves the share "
        "in all rows out; not screened for the many comparisons, and not judged by any rule.",
        f"Only words in {MINIMUM_ROWS} labelled rows or more; {bound:,} are rarer. Words have other senses, and a row "
        "may "
        "have several. Matches are whole words; negation and quotation are not told apart.",
    )
    more = tag("details", tag("summary", "The same as a table"), data)
    return beside(join([tag("h3", f"Word list: {clipped(lexicon)}"), chart, more]), note)
