"""How far training is: runs that ended, and the steps of those under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Progress = Callable[[str, int, int | None], None]
"""Called with (what, done, total)."""

Told = Callable[[int, int], None]
"""Called with (steps done, steps) of the runs that are trained at once."""

TRAINING, STEPS = "training", "steps"


def say(progress: Progress | None, text: str) -> None:
    """Tell the user something at once, where progress is shown to one."""
    spoken = getattr(progress, "say", None)
    if spoken is not None:
        spoken(text)


@dataclass(slots=True)
class Going:
    """Adds up what several workers tell of their runs.

    Attributes
    ----------
    progress : callable or None
        Gets ("training", runs that ended, runs) and, where the trainer makes steps, ("steps", steps made, steps) over
        all runs of this command that had not ended before it.
    finished : int
        Runs that have ended.
    total : int
        Runs in all.
    weights : mapping of str to int
        For each run that is to be trained, its epochs: the steps of a run are in proportion to them.

    Examples
    --------
    >>> told = []
    >>> going = Going(lambda *args: told.append(args), 1, 4, {"a": 2, "b": 2, "c": 4})
    >>> going.steps(["a", "b"], 50, 100)
    >>> going.ended("a")
    >>> told
    [('steps', 100, 400), ('steps', 150, 400), ('training', 2, 4)]
    """

    progress: Progress | None
    finished: int
    total: int
    weights: Mapping[str, float]
    _done: dict[str, float] = field(default_factory=dict)
    _epoch: float = 0.0

    def begin(self) -> None:
        """Say how many runs there are, and how many have ended already."""
        if self.progress is not None:
            self.progress(TRAINING, self.finished, self.total)

    def steps(self, runs: Sequence[str], done: int, total: int) -> None:
        """Some runs, trained at once, have made so many of their steps."""
        for run in runs:
            if run in self.weights:
                self._epoch = total / self.weights[run]
                self._done[run] = done / total
        self._tell_steps()

    def ended(self, run: str) -> None:
        """A run has ended, well or not."""
        self.finished += 1
        if self._epoch and run in self.weights:
            self._done[run] = 1.0
            self._tell_steps()
        self.begin()

    def _tell_steps(self) -> None:
        if self.progress is not None:
            made = sum(share * self.weights[run] for run, share in self._done.items())
            self.progress(STEPS, round(made * self._epoch), round(sum(self.weights.values()) * self._epoch))
