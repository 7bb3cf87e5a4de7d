"""Where the rows of a CSV file begin, without parsing it: what allows to cut one that holds quoted line ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .streams import BOM

_BLOCK = 4 << 20
_QUOTE = ord('"')
_Places = npt.NDArray[np.int64]


class RecordStarts:
    """Finds bytes at which a row begins, by the rules of Arrow's parser.

    A quote opens a value only at the value's very beginning; a quote that follows a closing one at once opens it again
    (a doubled quote); any other is an ordinary character. So only quotes need a look, and of an ordinary file not even
    each of them. Asking in ascending order reads the file once.

    Parameters
    ----------
    path : Path
        In UTF-8, not compressed.
    delimiter : str
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path = path
        self._before = np.zeros(256, np.bool_)  # which bytes may stand before a quote that opens
        self._before[[ord(delimiter), ord("\n"), ord("\r")]] = True
        self._head: bytes | None = None
        self._restart()

    def head(self) -> bytes:
        """The bytes of the first row, which names the columns, with its line end."""
        if self._head is None:
            self._head = self._first_row()
            self._restart()
        return self._head

    def at_or_after(self, target: int) -> int:
        """The first byte not before `target` where a row begins, the header excepted; the file's size without any."""
        least = max(target, len(self.head()))
        if least - 1 < self._at:
            self._restart()
        with self._path.open("rb") as file:
            file.seek(self._at)
            while self._at < least - 1 and (block := file.read(min(_BLOCK, least - 1 - self._at))):
                self._pass(np.frombuffer(block, np.uint8))
            return self._next(file)

    def _restart(self) -> None:
        self._at = len(self._head or b"")  # so much has been passed
        self._inside = False  # of a quoted value
        self._closed = -1  # where the last quote was that closed one
        self._last = ord("\n")  # the byte before `_at`

    def _first_row(self) -> bytes:
        with self._path.open("rb") as file:
            start = file.read(1 << 16)
            blank = len(BOM) if start.startswith(BOM) else 0
            blank += len(start[blank:]) - len(start[blank:].lstrip(b"\r\n"))
            self._at = blank
            file.seek(blank)
            end = self._next(file)
            file.seek(0)
            return file.read(end)

    def _next(self, file: Any) -> int:
        """The byte after the first line end from here on that is outside quotes; does not move on."""
        kept = self._at, self._inside, self._closed, self._last
        try:
            while block := file.read(_BLOCK):
                data = np.frombuffer(block, np.uint8)
                begin, inside = self._at, self._inside
                quotes = self._pass(data)
                ends = np.flatnonzero(data == ord("\n")) + begin
                outside = (np.searchsorted(quotes, ends) + inside) % 2 == 0
                if outside.any():
                    return int(ends[outside.argmax()]) + 1
            return self._at
        finally:
            self._at, self._inside, self._closed, self._last = kept

    def _pass(self, data: npt.NDArray[np.uint8]) -> _Places:
        """Go on over these bytes; returns where quotes among them open and close values."""
        found = np.flatnonzero(data == _QUOTE)
        places = found + self._at
        if len(found):
            before = data[found - 1]
            if found[0] == 0:
                before[0] = self._last
            first = int(self._inside)  # the first that opens, if they take turns
            opening, closing = places[first::2], places[1 - first :: 2]
            again = np.empty(len(opening), np.int64)  # where a closing quote just before would be
            again[:] = -2
            if first:
                again[:] = places[: 2 * len(opening) : 2]
            else:
                again[0] = self._closed
                again[1:] = places[1 : 2 * len(opening) - 1 : 2]
            if (self._before[before[first::2]] | (again == opening - 1)).all():
                if len(closing):
                    self._closed = int(closing[-1])
                self._inside = bool((first + len(places)) % 2)
            else:
                places = self._walk(places, before)
        self._at += len(data)
        if len(data):
            self._last = int(data[-1])
        return places

    def _walk(self, places: _Places, before: npt.NDArray[np.uint8]) -> _Places:
        """The same one by one: some quote is an ordinary character."""
        kept = []
        for place, opens in zip(places.tolist(), self._before[before].tolist(), strict=True):
            if self._inside:
                self._inside, self._closed = False, place
            elif opens or place == self._closed + 1:
                self._inside = True
            else:
                continue
            kept.append(place)
        return np.array(kept, np.int64)
