"""What the options of a sample may be, and the few sums that both samples share."""

from __future__ import annotations

import math

from ..errors import InputError, suggest

# Out of 20 equal parts: the 65/10/25 split of Bias in Bios.
SPLIT_OF_20 = ("train",) * 13 + ("dev",) * 2 + ("test",) * 5
SPLITS = ("train", "dev", "test")


def check(rows: int, *, bias: float, split: str | None) -> None:
    """Refuse a size, a strength or a split that means nothing."""
    if rows < 1:
        raise InputError(f"rows is {rows}; a sample has at least 1 row")
    if not 0.0 <= bias <= 1.0:
        raise InputError(f"bias is {bias}; choose a number from 0 (nothing planted) to 1 (the full strength)")
    if split is not None and split not in SPLITS:
        raise InputError(f'split is "{split}"; choose one of train, dev, test.{suggest(split, SPLITS)}')


def log_odds(p: float) -> float:
    """Give ln(p / (1 − p))."""
    return math.log(p / (1.0 - p))


def probability(log_odds: float) -> float:
    """Give the probability with these log odds.

    Rounded, because the last bit of ``exp`` differs between machines and the sample must not.
    """
    return round(1.0 / (1.0 + math.exp(-log_odds)), 12)
