"""From numbers to places on the page: linear and logarithmic scales with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def known(value: object) -> TypeGuard[float]:
    """Whether a value is a number: null, NaN and infinity are "not known".

    Examples
    --------
    >>> known(0.1), known(3), known(None), known(float("nan")), known("beyond"), known(True)
    (True, True, False, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_MOST = 700.0  # what exp() can hold, and its inverse


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of numbers laid on a stretch of pixels.

    Attributes
    ----------
    low, high : float
        Numbers at both ends, low < high.
    start, end : float
        Pixels of `low` and `high`; `end` may be the smaller one.
    log : bool
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixel of a number; numbers beyond the ends are at the ends.

        Examples
        --------
        >>> Scale(0, 10, 100, 200)(2.5), Scale(0, 10, 100, 200)(99)
        (125.0, 200.0)
        """
        if self.log:
            part = (
                0.0
                if value <= 0
                else (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
            )
        else:
            # Divided first, so that ends near the largest float do not overflow.
            part = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + min(1.0, max(0.0, part)) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a number lies between the ends."""
        return self.low <= value <= self.high

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Round numbers between the ends, `most` or fewer, two at least where the ends allow."""
        return log_ticks(self.low, self.high, most) if self.log else nice_ticks(self.low, self.high, most)


def nice_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten from `low` to `high`.

    Parameters
    ----------
    low, high : float
        Ends, low < high.
    most : int
        Upper limit of their number.

    Examples
    --------
    >>> nice_ticks(-0.03, 0.27), nice_ticks(0, 1, 3)
    ((0.0, 0.05, 0.1, 0.15, 0.2, 0.25), (0.0, 0.5, 1.0))
    """
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return (low,)
    power = 10.0 ** math.floor(math.log10(width / max(most, 2)))
    for scale in (power, power * 10, power * 100):
        for step in _STEPS[:-1]:
            size = step * scale
            first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
            if last - first + 1 <= most:
                # Rounded, or 0.1 + 0.2 would be written out.
                digits = max(0, 2 - math.floor(math.log10(size)))
                return tuple(round(at * size, digits) + 0.0 for at in range(first, last + 1))
    return (low,)


def log_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Powers of ten, with 2 and 5 times them where there is room.

    Examples
    --------
    >>> log_ticks(0.4, 6), log_ticks(0.001, 5000, 4)
    ((0.5, 1.0, 2.0, 5.0), (0.001, 0.1, 10.0, 1000.0))
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for parts in ((1, 2, 5), (1,)):
        found = [float(f"{part}e{power}") for power in range(first, last + 1) for part in parts]
        found = [value for value in found if low <= value <= high]
        if len(found) <= most and (len(found) > 1 or parts == (1,)):
            return tuple(found) or (low,)
    powers = [float(f"1e{power}") for power in range(first, last + 1) if low <= float(f"1e{power}") <= high]
    return tuple(powers[(len(powers) - 1) % -(-len(powers) // most) :: -(-len(powers) // most)])


def tick_words(ticks: Sequence[float]) -> tuple[str, ...]:
    """Ticks as text: as many decimals as tell them apart, with a true minus.

    Examples
    --------
    >>> tick_words((-0.5, 0.0, 0.5)), tick_words((0.1, 1.0, 10.0)), tick_words((0, 20000, 40000))
    (('−0.5', '0', '0.5'), ('0.1', '1', '10'), ('0', '20,000', '40,000'))
    """
    return tuple(_tick(value) for value in ticks)


def _tick(value: float) -> str:
    if value == 0:
        return "0"
    size = abs(value)
    text = f"{value:.4g}" if size < 1000 or size >= 1e9 or size < 1e-4 else f"{value:,.0f}"
    return text.replace("-", "−")


def linear(
    values: Iterable[object], start: float, end: float, *, hold: Iterable[float] = (), room: float = 0.04
) -> Scale:
    """A linear scale that holds every known value.

    Parameters
    ----------
    values : iterable
        Numbers; what is not known is skipped.
    start, end : float
        Pixels of the lower and the upper end.
    hold : iterable of float
        Numbers to hold besides, such as 0 or a limit.
    room : float
        Beyond the outermost values, as a share of the stretch.

    Examples
    --------
    >>> linear([0.2, None, 1.2], 0, 100, room=0)
    Scale(low=0.2, high=1.2, start=0, end=100, log=False)
    >>> linear([], 0, 100, room=0).low, linear([3], 0, 100, room=0).high
    (0.0, 3.5)
    """
    found = [float(value) for value in (*values, *hold) if known(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    width = high / 2 - low / 2  # halved, so that it is finite for whatever was finite
    if not width > max(abs(low), abs(high)) * 1e-12:
        half = 0.5 if max(abs(low), abs(high)) < 1e9 else abs(high)
        return Scale(low - half, high + half, start, end)
    return Scale(low - 2 * width * room, high + 2 * width * room, start, end)


def logarithmic(
    values: Iterable[object], start: float, end: float, *, hold: Iterable[float] = (), room: float = 0.04
) -> Scale:
    """A logarithmic scale that holds every known value above 0; arguments as for `linear`.

    Examples
    --------
    >>> scale = logarithmic([0.5, 8], 0, 100, hold=[1], room=0)
    >>> scale(2)
    50.0
    """
    found = [float(value) for value in (*values, *hold) if known(value) and value > 0] or [0.1, 10.0]
    low, high = (min(max(math.log(end), 1 - _MOST), _MOST - 1) for end in (min(found), max(found)))
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    out = (high - low) * room
    low, high = max(low - out, -_MOST), min(high + out, _MOST)
    return Scale(math.exp(low), math.exp(high), start, end, log=True)
