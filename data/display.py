"""Progress as a person sees it: bars in a terminal, a line now and then in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console

READING = "reading"  # evenset.audit.engine.READING, which is told in bytes
_WITH = {"training": "steps"}  # what is shown in the line of something else, and gives it its time left
_FIRST, _EVERY = 20.0, 60.0  # seconds before the first line in a pipe, and between two of them


def amount(what: str, done: float, total: float | None) -> str:
    """How much is done.

    Examples
    --------
    >>> amount("training", 12, 98)
    '12/98'
    >>> amount("reading", 5e6, 2e9)
    '5/2,000 MB'
    """
    if what == READING:
        return f"{done / 1e6:,.0f}/{(total or 0) / 1e6:,.0f} MB"
    return f"{done:,.0f}" + ("" if total is None else f"/{total:,.0f}")


def span(seconds: float) -> str:
    """A time in words.

    Examples
    --------
    >>> span(8), span(200), span(9000)
    ('8 s', '4 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = -(-int(seconds) // 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class Watch:
    """What was told last of each thing, and how long it will take.

    Attributes
    ----------
    told : dict
        For each thing (done, total, done when its speed began to count, time of that, whether it has begun).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.told: dict[str, tuple[float, float | None, float, float, bool]] = {}

    def tell(self, what: str, done: float, total: float | None) -> None:
        """Take note. Speed counts from the first thing that ended: what comes before it is mostly setting up."""
        before, _, first, since, going = self.told.get(what, (done, 0, done, self.clock(), False))
        if not going and done > before:
            first, since, going = done, self.clock(), True
        self.told[what] = (done, total, first, since, going)

    def left(self, what: str) -> float | None:
        """Seconds left, by the mean speed so far; None while that cannot be told."""
        done, total, first, since, _ = self.told.get(_WITH.get(what, what)) or self.told[what]
        if total is None or done <= first:
            return None
        return (self.clock() - since) / (done - first) * max(0.0, total - done)

    def line(self, what: str) -> str:
        """Everything about one thing in a line."""
        done, total, *_ = self.told[what]
        text = f"{what} {amount(what, done, total)}"
        if what == "training":
            text = f"training: {amount(what, done, total)} runs"
        if with_it := self.told.get(_WITH.get(what, "")):
            text += f", step {amount('', with_it[0], with_it[1])}"
        left = self.left(what)
        return text if left is None or done == total else f"{text}, {span(left)} left"


class Lines:
    """Says in a pipe, now and then, how far it is: a log is not filled, and a short command says nothing.

    Examples
    --------
    >>> now, said = [0.0], []
    >>> lines = Lines(said.append, clock=lambda: now[0])
    >>> for done in range(4):
    ...     now[0] = done * 30.0
    ...     lines("training", done, 9)
    >>> said
    ['training: 1/9 runs', 'training: 3/9 runs, 3 min left']
    """

    def __init__(self, say: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.say = say
        self._watch = Watch(clock)
        self._next = clock() + _FIRST

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take note; say a line where it is time for one."""
        self._watch.tell(what, done, total)
        now = self._watch.clock()
        if now >= self._next:
            self._next = now + _EVERY
            self.say(self._watch.line(next((one for one, other in _WITH.items() if other == what), what)))


class Bars:
    """Draws a line that moves for each thing that is done, and takes it away at the end."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        watch = self._watch = Watch()

        class Done(TextColumn):
            """How much is done, and how fast where it is bytes."""

            def render(self, task: Any) -> Text:
                """The columns behind the bar."""
                what, rate = task.description, ""
                if what == READING and task.speed:
                    rate = f"  {task.speed / 1e6:,.0f} MB/s"
                text = amount(what, task.completed, task.total)
                if what == "training":
                    text += " runs"
                if with_it := watch.told.get(_WITH.get(what, "")):
                    text += f"  step {amount('', with_it[0], with_it[1])}"
                left = None if task.finished or what not in watch.told else watch.left(what)
                return Text(text + rate + ("" if left is None else f"  {span(left)} left"))

        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), Done(""), console=console, transient=True
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Move the bar."""
        self._watch.tell(what, done, total)
        if what in _WITH.values():  # shown with another one; the bar follows it too
            return
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bar.console.print(text)
