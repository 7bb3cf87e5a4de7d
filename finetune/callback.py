"""The gap of anyone's own training: a callback for the Trainer of transformers that measures it at each evaluation."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.axes import parse_axes
from ..data.dataset import Dataset, listed
from ..data.errors import InputError, require
from ..data.opening import open_dataset
from .judging import yardstick as sticks
from .judging.design import design
from .judging.scores import align, write
from .judging.verdict import verify
from .rows import Floats, Outcome, Split
from .runs import Job, RunStore, empty_scores, score_table
from .task import split_of

require("transformers", extra="finetune", why="a callback of its Trainer")
from transformers import TrainerCallback  # noqa: E402 - the line above says what to install where it is missing

NAMES = ("eval_evenset_gap", "eval_evenset_gap_low", "eval_evenset_gap_high")
"""Keys in the logs: the gap and its 95 % interval."""

_MOST_TOKENS = 512

Predict = Callable[[Any, list[str]], Any]


@dataclass(frozen=True, slots=True)
class GapPoint:
    """The gap at one evaluation.

    Attributes
    ----------
    step : int
    epoch : float or None
    gap, low, high : float
        As in `verdict.json`: a slope over the terms or labels of the yardstick, with its 95 % interval over test rows.
    """

    step: int
    epoch: float | None
    gap: float
    low: float
    high: float


class GapCallback(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Measure the gap at each evaluation of a `transformers.Trainer`, and keep the scores at the end.

    At each evaluation the logs get ``eval_evenset_gap``, ``eval_evenset_gap_low`` and ``eval_evenset_gap_high``. So
    does the dict that `Trainer.evaluate` returns: ``metric_for_best_model="evenset_gap"`` works. `history` holds all of
    them. When training ends, `out` gets the scores that ``evenset verify`` reads; several arms and seeds may share it.

    Parameters
    ----------
    test : path, Dataset or table
        Rows to measure on, with text and label: whatever `evenset.data.open` opens.
    yardstick : path, mapping or Yardstick
        ``audit.json`` of the raw training data (or its folder).
    dev : path, Dataset or table, optional
        Rows that set the threshold of false positives; without it the test rows set it.
    text, label, positive, id, cluster : str, optional
        Columns of the rows, as in `evenset.data.open`. Rows of one cluster are not independent.
    axis, measure : str, optional
        Which yardstick of the audit: needed where it holds several. `measure` is "fpr" (false positives by term) or
        "tpr" (recall by label).
    labels : sequence of str, optional
        The label that each output of the model stands for. Default: the names in the model's config or in the data,
        where they fit.
    tokenizer : optional
        Default: the Trainer's own processing class.
    max_tokens : int, optional
        Longer texts are cut; default the tokenizer's length, at most 512.
    batch : int
        Texts scored at a time.
    predict : callable, optional
        ``(model, texts) -> probabilities``, texts × labels, for models that are not called in the usual way.
    out : path, optional
        Folder for ``ARM/UPSTREAM/SEED.scores.parquet``.
    arm, upstream : str
        What the rows of the scores are called; the arm trained on the data as they are is "raw" to ``evenset verify``.
    seed : int, optional
        Default: the seed of the training arguments.

    Raises
    ------
    InputError
        At once where files or yardstick cannot be used; before the first step where labels and outputs do not fit, or
        the test rows cannot measure the gap.

    Notes
    -----
    In distributed training every process scores the rows, since a model may be spread over them; only rank 0 writes.
    `attach` also sends the values to TensorBoard, Weights & Biases and other loggers; with ``callbacks=[...]`` they are
    in `Trainer.state.log_history` and the evaluation's result alone, for a callback knows no Trainer.

    Examples
    --------
    >>> from evenset.finetune.judging.yardstick import fpr_yardstick
    >>> stick = fpr_yardstick({"gay": (90, 50), "muslim": (90, 10)}, total_n=900, total_positive=100)
    >>> rows = [{"text": f"A {('gay', 'muslim')[k % 2]} man.", "label": k // 2 % 2, "id": k} for k in range(200)]
    >>> watch = GapCallback(rows, stick, labels=["0", "1"])
    >>> watch.history
    []
    """

    def __init__(
        self,
        test: Any,
        yardstick: Any,
        *,
        dev: Any = None,
        text: str | None = None,
        label: str | None = None,
        positive: str | None = None,
        id: str | None = None,  # noqa: A002 - the word of --id
        cluster: str | None = None,
        axis: str | None = None,
        measure: str | None = None,
        labels: Sequence[str] | None = None,
        tokenizer: Any = None,
        max_tokens: int | None = None,
        batch: int = 32,
        predict: Predict | None = None,
        out: str | Path | None = None,
        arm: str = "mine",
        upstream: str = "pretrained",
        seed: int | None = None,
    ) -> None:
        if isinstance(yardstick, str | Path) and (Path(yardstick) / "audit.json").is_file():
            yardstick = Path(yardstick) / "audit.json"
        self._stick = sticks.load(yardstick, axis=axis, measure=measure)
        columns: dict[str, Any] = {"text": text, "label": label, "positive": positive, "id": id, "cluster": cluster}
        given = {"test": test} if dev is None else {"dev": dev, "test": test}
        self._data: dict[str, Dataset] = {
            name: rows if isinstance(rows, Dataset) else open_dataset(rows, need_label=True, **columns)
            for name, rows in given.items()
        }
        self._axis = axis or self._stick.axis
        for rows in self._data.values():
            parse_axes([self._axis], names=rows.names)
        self._asked = positive
        self._names = None if labels is None else tuple(str(name) for name in labels)
        self._tokenizer, self._max_tokens, self._batch, self._predict = tokenizer, max_tokens, batch, predict
        for name in (arm, upstream):
            if not name or name != Path(name).name:
                raise InputError(f'"{name}" becomes the name of a folder of scores; choose a word without slashes')
        self._out = None if out is None else Path(out)
        self._job = (arm, upstream, seed)
        self._ready: tuple[tuple[Split, ...], tuple[str, ...], str | None] | None = None
        self._trainer: Callable[[], Any] = lambda: None
        self.history: list[GapPoint] = []

    def attach(self, trainer: Any) -> GapCallback:
        """Add this callback to a Trainer, and report to its loggers too."""
        trainer.add_callback(self)
        self._trainer = weakref.ref(trainer)
        return self

    # -- what the Trainer calls ---------------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:  # noqa: ARG002
        """Check that the rows can measure the gap of this model, before it is trained."""
        self._task(model)

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,  # noqa: ARG002
        model: Any = None,
        metrics: Any = None,
        **others: Any,
    ) -> None:
        """Measure; once a step, however many evaluation sets there are."""
        step = int(state.global_step)
        new = not self.history or self.history[-1].step != step
        if new:
            self.history.append(self._measure(args, state, model, others.get("processing_class")))
        point = self.history[-1]
        values = dict(zip(NAMES, (point.gap, point.low, point.high), strict=True))
        if metrics is not None:
            metrics.update(values)
        if not new:
            return
        trainer = self._trainer()
        if trainer is not None:
            trainer.log(dict(values))
            return
        last = state.log_history[-1] if state.log_history else {}
        if last.get("step") == step and any(name.startswith("eval_") for name in last):
            last.update(values)
        else:
            state.log_history.append({"step": step, "epoch": state.epoch, **values})

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:  # noqa: ARG002
        """Write the scores of the model as training leaves it."""
        if self._out is None:
            return
        table = self._scores(args, model, others.get("processing_class"))
        if state.is_world_process_zero:
            write(table, RunStore(self._out).scores_path(self._name(args)))

    # -- measuring ----------------------------------------------------------------------------------------------------

    def _name(self, args: Any) -> Job:
        arm, upstream, seed = self._job
        return Job(arm, arm, upstream, int(args.seed) if seed is None else seed)

    def _measure(self, args: Any, state: Any, model: Any, tokenizer: Any) -> GapPoint:
        scores = align(self._scores(args, model, tokenizer))
        positive = self._task(model)[2]
        (found,) = verify(scores, self._stick, positive=positive, measures=False, bootstrap=0).gaps
        return GapPoint(int(state.global_step), state.epoch, found.gap, found.gap_low, found.gap_high)

    def _scores(self, args: Any, model: Any, tokenizer: Any) -> pa.Table:
        splits, labels, positive = self._task(model)
        found = {split.name: self._probabilities(model, tokenizer, split.text.to_pylist()) for split in splits}
        return score_table(self._name(args), splits, Outcome(found), labels=labels, positive=positive)

    def _task(self, model: Any) -> tuple[tuple[Split, ...], tuple[str, ...], str | None]:
        """Rows to score, the labels of the model's outputs, and which one is positive; made once."""
        if self._ready is not None:
            return self._ready
        test = self._data["test"]
        labels = self._names or outputs_of(model, test, _labels(test))
        positive = None
        if len(labels) == 2:
            wanted = (self._asked, self._stick.positive, test.columns.positive)
            positive = next((name for name in wanted if name is not None and name in labels), None)
        (axis,) = parse_axes([self._axis], names=test.names)
        made = []
        for name, rows in self._data.items():
            cluster = rows.columns.cluster if name == "test" else None
            made.append(split_of(name, rows, axis.name, [self._axis], cluster, labels, positive, None)[0])
        # What these rows cannot measure is said now, and not after the first epoch.
        design(empty_scores(made, labels=labels, positive=positive), self._stick, positive=positive)
        self._ready = tuple(made), labels, positive
        return self._ready

    def _probabilities(self, model: Any, tokenizer: Any, texts: list[str]) -> Floats:
        n_labels = len(self._task(model)[1])
        parts = []
        with _scoring(model):
            for start in range(0, len(texts), self._batch):
                some = texts[start : start + self._batch]
                given = self._predict is not None
                values = self._predict(model, some) if self._predict else self._logits(model, tokenizer, some)
                found = np.asarray(values, np.float64)
                if found.shape == (len(some), 1) and n_labels == 2 and not given:
                    found = np.concatenate([np.zeros_like(found), found], axis=1)  # one output: the log odds
                if found.shape != (len(some), n_labels):
                    raise InputError(
                        f"the model gives an array of shape {tuple(found.shape)} for {len(some)} texts and "
                        f"{n_labels} labels; give the callback predict=, a function from (model, texts) to "
                        "probabilities"
                    )
                parts.append(found if given else _softmax(found))
        whole = np.concatenate(parts)
        if not np.isfinite(whole).all():
            raise InputError("the model's scores are not numbers any more: its training has diverged; lower the rate")
        return np.asarray(whole, np.float64)

    def _logits(self, model: Any, tokenizer: Any, texts: list[str]) -> Any:
        tokenizer = self._tokenizer or tokenizer
        if tokenizer is None:
            raise InputError("the Trainer has no tokenizer (processing_class); give this callback tokenizer=")
        longest = self._max_tokens or min(int(tokenizer.model_max_length), _MOST_TOKENS)
        given = tokenizer(texts, truncation=True, max_length=longest, padding=True, return_tensors="pt")
        device = next(model.parameters()).device
        found = model(**{name: value.to(device) for name, value in given.items()})
        logits = found["logits"] if isinstance(found, Mapping) else getattr(found, "logits", None)
        if logits is None:
            raise InputError("the model's answer has no logits; give the callback predict=")
        return logits.float().cpu().numpy()


@contextmanager
def _scoring(model: Any) -> Iterator[None]:
    """Without dropout and gradients, and afterwards as it was."""
    import torch

    training = bool(model.training)
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)


def _labels(rows: Dataset) -> list[str]:
    found: set[str] = set()
    for batch in rows.batches(columns=rows.columns.roles()):
        if batch.label is not None:
            found.update(value for value in pc.unique(batch.label).to_pylist() if value is not None)
    return sorted(found)


def outputs_of(model: Any, rows: Dataset, there: Sequence[str]) -> tuple[str, ...]:
    """The label that each output of a model stands for.

    Parameters
    ----------
    model : transformers model
        Its config names the outputs, or only numbers them.
    rows : Dataset
        Rows whose labels may be numbers with names.
    there : sequence of str
        Labels that occur.

    Raises
    ------
    InputError
        When nothing says it.
    """
    named = getattr(getattr(model, "config", None), "id2label", None) or {}
    names = tuple(str(named[at]) for at in sorted(named))
    stored = rows.columns.label_names
    for choice in (names, stored, tuple(str(at) for at in range(max(len(names), 2)))):
        if choice is not None and set(there) <= set(choice) and len(choice) in (len(names), 2):
            return tuple(choice)
    raise InputError(
        f"the model's outputs are called {listed(names) if names else 'nothing'} and the labels of the test rows are "
        f"{listed(there)}; say which label each output stands for, in order: labels=[{', '.join(map(repr, there))}]"
    )
