"""Hashed words and pairs of words of texts, as a sparse matrix: what the linear models of audit and finetune read.

Words come from the one tokenizer, so these models see exactly what audit counted and curate changed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .hashing import combine, hash64
from .tokens import Tokens, tokenize

Matrix: TypeAlias = Any  # scipy.sparse.csr_matrix, which has no types
Ints: TypeAlias = npt.NDArray[np.int64]
Hashes: TypeAlias = npt.NDArray[np.uint64]

BITS = 18
"""Features are hashed into 2**18 places."""


def featurise(text: pa.Array) -> Matrix:
    """Words and pairs of neighbouring words of each text, hashed: binary, each row of length 1.

    Parameters
    ----------
    text : Arrow array of strings
        One text a row.

    Returns
    -------
    scipy.sparse.csr_matrix
        Rows × 2**18; a text without words is an empty row.

    Notes
    -----
    Feature hashing (Weinberger et al. 2009) without signs. Pairs do not cross rows; punctuation does not part them.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = featurise(pa.array(["He is here", "he IS here", "", "is"]))
    >>> rows.shape, rows.getnnz(axis=1).tolist(), bool((rows[0] != rows[1]).nnz)
    ((4, 262144), [5, 5, 0, 1], False)
    """
    return features_of(tokenize(text))


def features_of(tokens: Tokens, keep: npt.NDArray[np.bool_] | None = None) -> Matrix:
    """The same of texts that are tokenised already, some of the tokens perhaps hidden.

    Parameters
    ----------
    tokens : Tokens
        The texts.
    keep : bool array, optional
        One entry a token. What is left closes up: the neighbours of a hidden token make a pair, as they do where
        curation has put "_" in its place.

    Returns
    -------
    scipy.sparse.csr_matrix

    Examples
    --------
    >>> import pyarrow as pa
    >>> tokens = tokenize(pa.array(["he is here"]))
    >>> hidden = features_of(tokens, np.array([False, True, True]))
    >>> bool((hidden != featurise(pa.array(["_ is here"]))).nnz)
    False
    """
    import scipy.sparse as sparse

    words = word_hashes(tokens)
    row = tokens.rows().astype(np.uint64)
    if keep is not None:
        words, row = words[keep], row[keep]
    inside = row[1:] == row[:-1]
    place = np.concatenate([places(words), places(combine(words[:-1], words[1:])[inside])])
    key = distinct_keys((np.concatenate([row, row[1:][inside]]) << np.uint64(BITS)) | place)
    # 32-bit indices: scikit-learn's solvers take no others.
    column = (key & np.uint64((1 << BITS) - 1)).astype(np.int32)
    ends = np.searchsorted(key, np.arange(1, tokens.n_rows + 1).astype(np.uint64) << np.uint64(BITS))
    starts = np.concatenate([[0], ends]).astype(np.int32)
    length = np.diff(starts)
    value = np.repeat(1 / np.sqrt(np.maximum(length, 1)), length)
    return sparse.csr_matrix((value, column, starts), shape=(tokens.n_rows, 1 << BITS))


def word_hashes(tokens: Tokens) -> Hashes:
    """The hash of each token, spellings that fold to one string alike."""
    return hash64(tokens.folded, salt="evenset.linear")[tokens.ids]


def places(hashes: Hashes) -> Hashes:
    """The columns of words (`word_hashes`) or of pairs of them (`combine` of two)."""
    return hashes >> np.uint64(64 - BITS)


def frequent(features: Matrix, root: Hashes, *, least: int) -> Ints:
    """Columns that at least so many different roots have, in ascending order."""
    number = np.unique(root, return_inverse=True)[1].astype(np.uint64)
    owner = np.repeat(number, np.diff(features.indptr))
    pair = distinct_keys((features.indices.astype(np.uint64) << np.uint64(32)) | owner)
    return np.flatnonzero(np.bincount((pair >> np.uint64(32)).astype(np.int64), minlength=features.shape[1]) >= least)


def narrowed(features: Matrix, columns: Ints) -> Matrix:
    """Only these columns, rows scaled to length 1 again."""
    kept = features[:, columns].tocsr()
    size = np.sqrt(np.add.reduceat(np.append(kept.data**2, 0.0), kept.indptr[:-1]) * (np.diff(kept.indptr) > 0))
    kept.data /= np.repeat(np.where(size > 0, size, 1.0), np.diff(kept.indptr))
    return kept


def distinct_keys(keys: Hashes) -> Hashes:
    """The distinct keys in ascending order; by sorting, which takes a tenth of the time of numpy 2's hash table."""
    keys = np.sort(keys)
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
