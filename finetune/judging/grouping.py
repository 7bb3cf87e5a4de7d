"""Groups of rows whose text is known, where a score file names none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from ...data.errors import InputError

Grouping = Callable[[pa.ChunkedArray], pa.Array]


def groups_of(axis: str) -> Grouping:
    """A function from texts to the groups that each names, by the words of an axis; empty lists where it names none.

    Parameters
    ----------
    axis : str
        As a config writes it: the name of a lexicon of evenset, "lexicon:FILE", or several joined by " & ".

    Examples
    --------
    >>> groups_of("pronouns")(pa.chunked_array([["She ran.", "It rains.", None]])).to_pylist()
    [['she'], [], []]
    """

    def find(text: pa.ChunkedArray) -> pa.Array:
        from ...data.axes import parse_axes
        from ...data.opening import open_dataset
        from ...data.scan import scan

        try:
            (found,) = parse_axes([axis], names=())
        except InputError as error:
            raise InputError(
                f'scores: the groups of the yardstick\'s axis "{axis}" cannot be found in the column "text" ({error}); '
                'give a column "group"'
            ) from error
        if not found.lexicons() or found.columns():
            raise InputError(f'scores: axis "{axis}" has no words to find in a text; give a column "group"')
        # The same texts come back with every run.
        coded = text.cast(pa.large_string()).fill_null("").combine_chunks().dictionary_encode()
        table = pa.table({"text": coded.dictionary})
        groups: list[tuple[str, ...]] = []
        for scanned in scan(open_dataset(table, text="text"), [found], columns=["text"]):
            groups += scanned.members[found.name].sets()
        lists = pa.array([list(one) for one in groups], pa.list_(pa.string()))
        return lists.take(pa.array(np.asarray(coded.indices)))

    return find
