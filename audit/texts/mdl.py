"""Minimum description length: how many bits the groups cost once the texts are known.

The online code of Voita and Titov 2020: a probe is fitted on what has been sent, and pays for the next block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.features import Matrix, frequent, narrowed
from ...data.hashing import Keys, mix
from ..findings import LEVEL, rounded
from ..intervals import z_of
from .probe import MIN_ROWS, Bools, Floats, Ints, logistic, permuted

FRACTIONS = (0.02, 0.03, 0.044, 0.065, 0.095, 0.14, 0.21, 0.31, 0.457, 0.676, 1.0)
"""Shares of the rows at which the probe is fitted anew (methods of Orgad et al. 2022)."""

PENALTIES = (0.1, 1.0, 10.0)
LEAST_ROWS = 200


@dataclass(frozen=True, slots=True)
class CodeLength:
    """What the groups cost, in bits.

    Attributes
    ----------
    n : int
        Rows; as many of either group in each label.
    uniform : float
        n log₂ K, K being the number of groups: what they cost without the texts.
    online : float
        What they cost with the texts.
    compression, low, high : float
        uniform / online with its interval. 1.00 is chance; below it the probe was worse than that.
    bits : float
        online / n, bits an example.
    control : float
        The same compression after the groups were shuffled within each label.
    method : str
    """

    n: int
    uniform: float
    online: float
    compression: float
    low: float
    high: float
    bits: float
    control: float
    method: str = "online code, linear probe, blocks of doubling size; interval by clusters, probes held fixed"

    def to_dict(self) -> dict[str, Any]:
        """As in audit.json."""
        return {
            "n": self.n,
            "uniform_bits": rounded(self.uniform),
            "online_bits": rounded(self.online),
            "compression": rounded(self.compression),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "bits_per_example": rounded(self.bits),
            "control": rounded(self.control),
            "method": self.method,
        }


def balanced(target: Bools, stratum: Ints, key: Keys) -> Ints:
    """Rows such that each stratum has as many of either group: of the commoner one those with the smallest keys."""
    order = np.lexsort((key, target, stratum))
    cell = stratum[order] * 2 + target[order]
    size = np.bincount(cell, minlength=2 * (int(stratum.max(initial=-1)) + 1))
    begins = np.cumsum(size) - size
    rank = np.arange(len(order)) - begins[cell]
    least = np.minimum(size[0::2], size[1::2])
    return np.sort(order[rank < least[cell // 2]])


def ends(n: int) -> Ints:
    """Where the blocks end, from the fractions; two that fall together are one.

    Examples
    --------
    >>> ends(1000).tolist()
    [20, 30, 44, 65, 95, 140, 210, 310, 457, 676, 1000]
    """
    found = np.unique(np.ceil(np.array(FRACTIONS) * n - 1e-9).astype(np.int64))
    return found[found > 0]


def online_bits(features: Matrix, target: Bools, key: Keys) -> Floats:
    """Bits that each row's group costs, in the order given.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        From `features_of`, not narrowed: which features count is told from what has been sent.
    target : bool array
        Rows of the first group.
    key : uint64 array
        Key of each row, for counting the rows that have a feature.

    Notes
    -----
    The first block costs log₂ K bits a row. For each later block probes with penalties C of 0.1, 1 and 10 are fitted on
    all rows before it, and each row costs −log₂ of the mean of their and of the chance probe's probabilities, weighted
    by how well each has coded the rows before (a Bayesian mixture, which costs two bits in all). So a probe without
    any signal costs one bit a row and hardly more, and nothing is tuned on what is yet to be sent. All losses are in
    bits: with losses in nats, as in one published code, chance would seem to compress to 1.43.
    """
    n = len(target)
    bits = np.ones(n)
    edges = ends(n)
    trust = np.zeros(1 + len(PENALTIES))  # log2 weights
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        columns = frequent(features[:start], key[:start], least=MIN_ROWS)
        sent, coming = narrowed(features[:start], columns), narrowed(features[start:end], columns)
        losses = np.ones((1 + len(PENALTIES), end - start))
        for k, c in enumerate(PENALTIES, start=1):
            margin = (coming @ logistic(sent, target[:start], np.zeros(start), c=c)) * np.where(
                target[start:end], 1, -1
            )
            losses[k] = np.logaddexp(0, -margin) / math.log(2)
        after = trust[:, None] - np.cumsum(losses, axis=1)
        bits[start:end] = _log2_sum(after + losses) - _log2_sum(after)
        trust = after[:, -1] - after[:, -1].max()
    return bits


def _log2_sum(logs: Floats) -> Floats:
    top = logs.max(axis=0)
    found: Floats = top + np.log2(np.exp2(logs - top).sum(axis=0))
    return found


def code_length(
    features: Matrix,
    target: npt.NDArray[np.bool_],
    stratum: Ints,
    cluster: Ints,
    key: Keys,
    *,
    seed: int = 0,
    level: float = LEVEL,
) -> CodeLength | None:
    """How far knowing the texts shortens the code for the groups, within labels.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        One row a text, from `features_of`.
    target : bool array
        Rows of the first group; K is 2.
    stratum : int64 array
        Label of each row. Only as many rows of either group are sent in each, so that the label says nothing.
    cluster : int64 array
        Near duplicates and persons; rows of a cluster are sent one after another.
    key : uint64 array
        Key of each row: the order of sending is a hash of it.
    seed : int
        Of that order and of the shuffle.
    level : float
        Confidence level.

    Returns
    -------
    CodeLength, or None with fewer than 200 rows after balancing

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data.features import featurise
    >>> target = np.arange(400) % 2 == 0
    >>> text = pa.array([f"{'ballet' if one else 'rugby'} number {i}" for i, one in enumerate(target)])
    >>> one, keys = np.zeros(400, np.int64), np.arange(400, dtype=np.uint64)
    >>> found = code_length(featurise(text), target, one, np.arange(400), keys)
    >>> found.uniform, found.compression > 3, round(found.control, 1)
    (400.0, True, 1.0)
    """
    chosen = balanced(target, stratum, key)
    if len(chosen) < LEAST_ROWS:
        return None
    smallest = np.full(int(cluster.max()) + 1, 2**64 - 1, np.uint64)
    np.minimum.at(smallest, cluster[chosen], key[chosen])
    place = mix(smallest[cluster[chosen]], salt=(seed, "evenset.mdl"))
    chosen = chosen[np.lexsort((key[chosen], place))]
    x, group, where, keys = features[chosen], target[chosen], cluster[chosen], key[chosen]
    bits = online_bits(x, group, keys)
    shuffled = online_bits(x, permuted(group, stratum[chosen], where, key=keys, seed=seed), keys)
    n = len(chosen)
    online = float(bits.sum())
    sums = np.bincount(where, bits - online / n)
    half = z_of(level) * math.sqrt(float(sums @ sums))
    return CodeLength(
        n=n,
        uniform=float(n),
        online=online,
        compression=n / online,
        low=n / (online + half),
        high=n / max(online - half, 1e-9),
        bits=online / n,
        control=n / float(shuffled.sum()),
    )
