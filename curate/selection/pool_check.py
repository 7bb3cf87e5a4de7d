"""Whether the rows of a pool are what a topup takes them for: rows without the positive label.

Where no column of the pool says so, a probe does: it learns the positive label from the data with the axis's own words
hidden, because the data's bias is just that these words look positive, and scores the pool's rows, words hidden too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.axes import Axis
from ...data.features import features_of, frequent, narrowed
from ...data.hashing import Keys, mix, uniform
from ...data.match import Matcher
from ...data.tokens import tokenize
from ..prepare import Prepared
from ..units import Ints

_MOST = 20_000
_LEAST = 20


def probed(prepared: Prepared, axis: Axis, positive: str, texts: Any, keys: Keys, *, n: int) -> dict[str, Any]:
    """How many texts look positive to a probe trained on the data.

    Parameters
    ----------
    prepared : Prepared
        The data: at most 20,000 labelled rows of it are read, drawn by hash.
    axis : Axis
        Whose words are hidden.
    positive : str
        The positive label.
    texts, keys
        Of the pool's rows.
    n : int
        Rows of the data.

    Returns
    -------
    dict
        ``checked``, and if so: ``rows`` (of the pool), ``trained`` and ``held_out`` (of the data), ``auc`` on those
        held out, ``base`` (their positive share; the threshold is the score that so many of them are above), ``above``
        (the pool's share above it) and ``negatives_above`` (that of the data's other rows); else ``why``.

    Notes
    -----
    Half of the rows train a logistic regression on hashed words and pairs of words (`evenset.data.features`), the other
    half give the threshold.
    """
    from ...audit.texts.gender_checks import matched
    from ...audit.texts.probe import MIN_ROWS, logistic

    assert axis.lexicon is not None
    matcher = Matcher(axis.lexicon)

    def features(text: Any) -> Any:
        tokens = tokenize(text)
        return features_of(tokens, ~matched(tokens, matcher))

    rows, target, key = _sample(prepared, positive, n)
    half = uniform(mix(key, salt="evenset.pool.half")) < 0.5
    few = min((part.sum() for side in (half, ~half) for part in (side & target, side & ~target)), default=0)
    if few < _LEAST or not len(texts):
        why = (
            "no row of the pool can be added" if not len(texts) else f"fewer than {_LEAST} rows of a label to train on"
        )
        return {"checked": False, "why": why}
    every = features(rows)
    columns = frequent(every, key, least=MIN_ROWS)
    every = narrowed(every, columns)
    base = float(target[half].mean())
    coef = logistic(every[half], target[half], np.full(int(half.sum()), np.log(base / (1 - base))), c=1.0)
    held, truth = every[~half] @ coef, target[~half]
    rate = float(truth.mean())
    threshold = np.sort(held)[::-1][max(round(rate * len(held)) - 1, 0)]
    order = np.argsort(keys, kind="stable")[:_MOST]
    import pyarrow as pa

    score = narrowed(features(texts.take(pa.array(order))), columns) @ coef
    return {
        "checked": True,
        "rows": len(order),
        "trained": int(half.sum()),
        "held_out": int((~half).sum()),
        "auc": _auc(held, truth),
        "base": rate,
        "above": float((score >= threshold).mean()),
        "negatives_above": float((held[~truth] >= threshold).mean()),
    }


def _sample(prepared: Prepared, positive: str, n: int) -> tuple[Any, Any, Keys]:
    """Labelled rows drawn by hash, in the order of their keys, and which are positive."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts, labels, keys = [], [], []
    for chunk in prepared.chunks():
        batch = chunk.scanned.batch
        if batch.label is None:
            continue
        drawn = uniform(mix(chunk.keys, salt="evenset.pool")) < _MOST / max(n, 1)
        drawn &= batch.label.is_valid().to_numpy(zero_copy_only=False)
        where = np.flatnonzero(drawn)
        texts.append(batch.text.take(pa.array(where)))
        labels.append(pc.equal(batch.label.take(pa.array(where)), positive).to_numpy(zero_copy_only=False))
        keys.append(chunk.keys[where])
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    return pa.concat_arrays(texts).take(pa.array(order)), np.concatenate(labels).astype(np.bool_)[order], key[order]


def _auc(score: Any, truth: Any) -> float:
    from scipy.stats import rankdata

    ones = int(truth.sum())
    ranks: Ints = rankdata(score)
    return float((ranks[truth].sum() - ones * (ones + 1) / 2) / (ones * (len(truth) - ones)))
