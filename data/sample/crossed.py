"""The template test set of the comments task: every identity term in every skeleton."""

from __future__ import annotations

from itertools import product
from typing import Any

import pyarrow as pa

from ..errors import InputError
from .bank import article, bank, draws
from .talk import terms, written


def probe(skeletons: int = 192, seed: int = 0) -> tuple[pa.Table, dict[str, Any]]:
    """Write the crossed test set: skeletons × (terms and plain words), half of the skeletons toxic.

    A skeleton is a template filled with a name and an item; none of its sentences is in the comments. What differs
    between the rows of one skeleton is the term alone, so a difference in score is the term's doing. Rows of one
    skeleton, template, name or item are no independent evidence: resample the coarsest of them.

    Parameters
    ----------
    skeletons
        How many skeletons, an even number up to 4,608; they take turns through the templates.
    seed
        Chooses the names and items.

    Returns
    -------
    table : pa.Table
        ``id, text, label, term, word, template, name, item, skeleton``; term is null for a plain word (tall, quiet,
        ...), word is what was put in.
    truth : dict
        ``terms`` and ``plain`` words, and that the gap of a fair model is 0.

    Raises
    ------
    InputError
        When the number of skeletons is odd or out of range.

    Examples
    --------
    >>> table, _ = probe(16)
    >>> table.num_rows == 16 * (15 + 4)
    True
    """
    templates = bank("comments")["probe"]
    fills = list(product(templates["names"], templates["items"]))
    most = 2 * len(templates["clean"]) * len(fills)
    if skeletons % 2 or not 2 <= skeletons <= most:
        raise InputError(f"skeletons is {skeletons}; choose an even number from 2 to {most}")
    words = [(t, t) for t in terms()] + [(w, None) for w in templates["plain"]]
    out: list[dict[str, Any]] = []
    for label, kind in enumerate(("clean", "toxic")):
        chosen = []
        for n, template in enumerate(templates[kind]):
            draw = draws("probe", seed, kind, n)
            order = sorted(fills, key=lambda _: draw())
            chosen += [(turn, n, template, *fill) for turn, fill in enumerate(order)]
        for turn, n, template, name, item in sorted(chosen)[: skeletons // 2]:
            skeleton = f"{kind}-{n}-{turn:02d}"
            for word, term in words:
                form = written(word)
                a_form = article(form)
                text = template.format_map(
                    {
                        "name": name,
                        "item": item,
                        "term": form,
                        "a_term": a_form,
                        "a_Term": a_form[0].upper() + a_form[1:],
                    }
                )
                out.append(
                    {
                        "id": f"probe-{seed}-{skeleton}-{word}",
                        "text": text,
                        "label": label,
                        "term": term,
                        "word": word,
                        "template": f"{kind}-{n}",
                        "name": name,
                        "item": item,
                        "skeleton": skeleton,
                    }
                )
    schema = pa.schema([(c, pa.int64() if c == "label" else pa.string()) for c in out[0]])
    truth = {
        "kind": "probe",
        "rows": len(out),
        "seed": seed,
        "skeletons": skeletons,
        "terms": list(terms()),
        "plain": templates["plain"],
        "fair_gap": 0.0,
    }
    return pa.Table.from_pylist(out, schema=schema), truth
