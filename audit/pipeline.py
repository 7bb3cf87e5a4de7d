"""The audit from end to end: one pass for the counts and the sample of rows, then what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.errors import InputError
from .engine import Progress, counting
from .exact import of_all_rows
from .findings import Finding, Settings
from .measures import findings_of, known_measure
from .report import AuditReport, scores_of
from .rules import default_rules, judge
from .sections import Parts, Wanted, wanted
from .tally import UNIT, Tally

if TYPE_CHECKING:
    from ..data.axes import Axis
    from ..data.axis_labels import AxisLabels
    from ..data.config import CheckRule
    from ..data.dataset import Dataset
    from ..data.scan import Scanned
    from .embeddings.directions import Direction
    from .embeddings.embedding_result import EmbeddingTest
    from .embeddings.pairs import Pairs
    from .embeddings.vectors import Vectors
    from .proxy_report import ProxyReport
    from .shards import Say
    from .texts.copies import Copies
    from .texts.leakage import Leakage
    from .texts.quality import Quality
    from .texts.sampling import Rows

LEAST_MEAN_WEIGHT = 0.03


def run(
    dataset: Dataset,
    axes: Sequence[str | Axis] = ("pronouns", "identity"),
    *,
    rules: Sequence[CheckRule] = (),
    reference: Mapping[str, Mapping[str, float]] | None = None,
    measures: Iterable[str] | None = None,
    vectors: Sequence[str | Path] = (),
    pairs: Sequence[str | Path] = (),
    splits: Mapping[str, Dataset] | None = None,
    engine: str = "local",
    state: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    say: Say | None = None,
) -> AuditReport:
    """Audit a dataset.

    Parameters
    ----------
    dataset : Dataset
        From `evenset.data.open`.
    axes : sequence of str or Axis
        As after ``--axis``: ``pronouns``, ``identity``, ``column:COL``, ``A+B``, ...
    rules : sequence of CheckRule
        Limits that give findings a status; without any the defaults of `evenset.audit.rules`.
    reference : mapping of axis to mapping of group to share
        What representation is compared with; without it there is no such comparison.
    measures : iterable of str, optional
        Sections (``counts``, ``association``, ``directions``, ``proxies``, ``leakage``, ``quality``, or ``all``) and
        names of the table of measures. By default ``counts`` and ``association``, which need nothing but one pass.
    vectors : sequence of str or Path
        Word vectors for ``directions``, as `embeddings.vectors.load_vectors` reads them; default: trained on the text.
    pairs : sequence of str or Path
        Definitional pairs of further directions (`embeddings.pairs.load_pairs`).
    splits : mapping of name to Dataset, optional
        Other splits, such as the test rows; ``quality`` looks for copies between them and this data.
    engine : str
        ``local``, ``dask`` or ``dask:ADDRESS``.
    state : Path, optional
        The output folder: counts of parts are kept there, so that a killed audit goes on.
    seed : int
        Of everything random: folds, shuffles, training.
    progress : callable, optional
        Called with (what, done, total).
    say : callable, optional
        Told what the user should know on the way.

    Returns
    -------
    AuditReport

    Raises
    ------
    InputError
        When an axis, a measure or a reference is not known, the data cannot be read, or a column that is used as
        groups or labels has more than 2,000 different values.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from evenset.data import open
    >>> rows = {"text": ["She is kind."] * 40 + ["He is kind."] * 40, "label": ["nurse"] * 30 + ["judge"] * 50}
    >>> report = run(open(pa.table(rows), text="text", label="label"), ["pronouns"])
    >>> [finding.id for finding in report.findings if finding.status == "fail"]
    ['log_ratio_centred:pronouns:she/he:judge', 'log_ratio_centred:pronouns:she/he:nurse', 'cramers_v:pronouns::']
    """
    chosen = tuple(rules) or default_rules()
    for rule in chosen:
        known_measure(rule.measure)
    want = wanted(measures).also(rule.measure for rule in chosen)
    if "invalid_weights" in want.measures:
        if dataset.columns.weight is None:
            raise InputError("invalid_weights needs a column of weights: name it with --weight, or as weight in [data]")
        dataset = replace(dataset, count_bad_weights=True)
    used = _axes(dataset, axes)
    pass_ = _Pass(dataset, used, want)
    counted = counting(
        dataset,
        used,
        words="proxies" in want.sections,
        engine=engine,
        state=state,
        progress=progress,
        say=say,
        watch=pass_.watch if want.rows else None,
    )
    refuse_tiny_weights(counted.tally, dataset.columns.weight)
    if want.rows and not counted.watched:
        pass_.again()
    report = report_of(
        counted.tally,
        used,
        rules=chosen,
        reference=reference,
        measures=want.measures,
        dataset=dataset.describe(),
        positive=dataset.columns.positive,
        seed=seed,
        paired=dataset.conversation is not None and dataset.conversation.pair is not None,
    )
    with _one_thread():
        parts = _parts(report, pass_, want, vectors, pairs, splits or {}, seed, progress)
    report = replace(report, parts=parts, source=dataset, axes=used)
    if parts.leakage:
        found = [finding for one in parts.leakage.values() for finding in one.findings()]
        report = replace(report, findings=(*report.findings, *judge(found, chosen)))
    return report


def report_of(
    tally: Tally,
    axes: Sequence[Axis],
    *,
    rules: Sequence[CheckRule],
    reference: Mapping[str, Mapping[str, float]] | None,
    measures: Sequence[str],
    dataset: Mapping[str, object],
    positive: str | None,
    seed: int,
    paired: bool = False,
) -> AuditReport:
    """What the counts alone tell, for counts of one pass and of merged shards alike.

    Notes
    -----
    Rows of preference data come in pairs of which one is chosen. The variance of a sum over pairs is at most twice that
    of as many independent rows (Cauchy and Schwarz), so with `paired` a row is taken for half a row's worth.
    """
    settings = Settings(positive=positive, reference=dict(reference or {}))
    counted = _halved(tally) if paired else tally
    findings: tuple[Finding, ...] = findings_of(counted, settings, measures=measures, axes=axes)
    if paired:
        findings = tuple(replace(one, method=f"{one.method}; variance doubled, as rows are pairs") for one in findings)
    findings = judge((*findings, *of_all_rows(tally, measures)), rules)
    lexicons = {lexicon.name: lexicon for axis in axes for lexicon in axis.lexicons()}
    return AuditReport(
        findings=findings,
        scores=scores_of(findings, list(tally.axes)),
        tally=tally,
        dataset=dataset,
        lexicons=tuple(
            {"name": name, "version": lexicons[name].version, "sha256": lexicons[name].sha256}
            for name in sorted(lexicons)
        ),
        rules=tuple(rules),
        settings=settings,
        seed=seed,
    )


def refuse_tiny_weights(tally: Tally, column: str | None) -> None:
    """Weights are counted in steps of 2**-20 and their squares too: on average they must be well above that."""
    sums = [cell.w for cell in next(iter(tally.cells.values())).values()]
    mean = sum(sums) / UNIT / max(tally.rows, 1)
    if tally.weighted and mean < LEAST_MEAN_WEIGHT:
        raise InputError(
            f'the weights in column "{column}" average {mean:.2g}; multiply them by a constant so that they average '
            "about 1 (only their ratios matter)"
        )


def _halved(tally: Tally) -> Tally:
    """The same counts, each row worth half of one."""
    cells = {
        axis: {key: replace(cell, w2=2 * cell.w2) for key, cell in table.items()} for axis, table in tally.cells.items()
    }
    return replace(tally, cells=cells)


def _axes(dataset: Dataset, axes: Sequence[str | Axis]) -> tuple[Axis, ...]:
    from ..data.axes import Axis as AxisClass
    from ..data.axes import parse_axes

    words = [axis for axis in axes if not isinstance(axis, AxisClass)]
    parsed = dict(zip(words, parse_axes(words, names=dataset.names), strict=True))
    used = tuple(axis if isinstance(axis, AxisClass) else parsed[axis] for axis in axes)
    if not used:
        raise InputError("audit: name at least one axis, for example pronouns or identity")
    labels = dataset.axis_labels
    for axis in used:
        if dataset.columns.label is not None and dataset.columns.label in axis.columns():
            raise InputError(
                f'the axis "{axis.name}" is made of the label column "{dataset.columns.label}", so the two go together '
                "whatever the data is; name another --label or another --axis"
            )
        if labels is not None and any(lexicon.name == labels.lexicon.name for lexicon in axis.lexicons()):
            raise InputError(
                f'the label "{labels.spec}" is made of the words of the axis "{axis.name}", so the two go together '
                "whatever the data is; name another --label or another --axis"
            )
    return used


class _Pass:
    """Collects, while batches go by, the sample of rows and the hashes of all."""

    def __init__(self, dataset: Dataset, axes: Sequence[Axis], want: Wanted) -> None:
        self.dataset, self.axes = dataset, tuple(axes)
        self.copies: Copies | None = None
        self._rows: Rows | None = None
        if want.rows:
            from .texts.copies import Copies as CopiesClass
            from .texts.sampling import Sampler

            self.sampler = Sampler(self.axes, cluster=dataset.columns.cluster)
            self.copies = CopiesClass() if "quality" in want.sections else None

    def watch(self, scanned: Scanned) -> None:
        self.sampler.add(scanned)
        if self.copies is not None:
            from ..data.tokens import tokenize

            batch = scanned.batch
            tokens = scanned.tokens if scanned.tokens is not None else tokenize(batch.text)
            self.copies.add(tokens, batch.text, batch.label)

    def again(self) -> None:
        """Pass over the rows for the sample alone: another engine, or an earlier run, has counted them."""
        from ..data.scan import scan

        cluster = self.dataset.columns.cluster
        columns = [column for axis in self.axes for column in axis.columns()] + ([] if cluster is None else [cluster])
        for scanned in scan(self.dataset, self.axes, columns=list(dict.fromkeys(columns))):
            self.watch(scanned)

    @property
    def rows(self) -> Rows:
        if self._rows is None:
            self._rows = self.sampler.rows()
        return self._rows


def _one_thread() -> AbstractContextManager[object]:
    """Linear algebra in one thread: the matrices are small, and threads that wait by spinning cost more."""
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits


def _parts(
    report: AuditReport,
    pass_: _Pass,
    want: Wanted,
    vectors: Sequence[str | Path],
    pairs: Sequence[str | Path],
    splits: Mapping[str, Dataset],
    seed: int,
    progress: Progress | None,
) -> Parts:
    """The sections beyond the counts, each resting on what came before."""
    left_out: dict[str, str] = {}
    directions: tuple[Direction, ...] | None = None
    tests: tuple[EmbeddingTest, ...] | None = None
    if "directions" in want.sections:
        try:
            directions, tests = _directions(pass_, vectors, pairs, seed, progress)
        except InputError as error:
            # Asked for by name, or with vectors that cannot be used, an error; else the rest is still worth having.
            if vectors or pairs or want.named:
                raise
            left_out["directions"] = str(error)
    labels = pass_.dataset.axis_labels
    proxies = proxies_of(report.tally, directions or (), labels) if "proxies" in want.sections else None
    leakage = _leakage(report.tally, pass_, proxies or {}, seed, progress) if "leakage" in want.sections else None
    quality = _quality(pass_, splits, seed) if "quality" in want.sections else None
    return Parts(proxies, directions, tests, leakage, quality, left_out)


def _directions(
    pass_: _Pass,
    specs: Sequence[str | Path],
    pairs: Sequence[str | Path],
    seed: int,
    progress: Progress | None,
) -> tuple[tuple[Direction, ...], tuple[EmbeddingTest, ...]]:
    from .embeddings.directions import directions
    from .embeddings.pairs import load_pairs
    from .embeddings.training import Training, train_vectors
    from .embeddings.vectors import load_vectors
    from .embeddings.word_sets import standard_tests, words_of_tests

    known = [load_pairs(), *(load_pairs(spec) for spec in pairs)]
    rows = pass_.rows.all_rows()
    models: list[Vectors | tuple[Vectors, ...]] = []
    settings = None
    if specs:
        needed = {word for each in known for word in each.words} | words_of_tests() | set(rows.tokens.folded)
        models += [load_vectors(spec, wanted=needed) for spec in specs]
    else:
        training = Training(seed=seed)
        settings = training.to_dict()

        def told(done: int, total: int) -> None:
            if progress is not None:
                progress("training vectors", done, total)

        models.append(train_vectors(rows.tokens, rows.key, training=training, progress=told))
    found = [one for model in models for one in directions(model, known, seed=seed, settings=settings)]
    tests = [test for model in models for test in standard_tests(model, seed=seed)]
    return tuple(found), tuple(tests)


def proxies_of(tally: Tally, directions: Sequence[Direction], label: AxisLabels | None) -> dict[str, ProxyReport]:
    """The proxies of each axis; a direction bears only on the axis whose two groups it separates."""
    from .cells import AxisCells
    from .definitional import definitional_words
    from .proxies import proxies

    # Where words make the label, these words are the task.
    forms = () if label is None else label.lexicon.forms
    task = frozenset(word for form in forms for word in form.text.casefold().split())
    found = {}
    for axis in tally.axes:
        pair = AxisCells.of(tally, axis).pair
        leans = (one.femaleness for one in directions if one.scored and pair == _contrasted(one.pairs))
        lean = next(leans, None)
        found[axis] = proxies(tally, axis, femaleness=lean, definitional=definitional_words(tally, axis) | task)
    return found


def _contrasted(pairs: Pairs) -> tuple[str, str]:
    """The two groups whose words a direction separates."""
    from .embeddings.pairs import BUILTIN

    return ("she", "he") if BUILTIN in pairs.source else (pairs.first, pairs.second)


def _leakage(
    tally: Tally, pass_: _Pass, proxies: Mapping[str, ProxyReport], seed: int, progress: Progress | None
) -> dict[str, Leakage]:
    from .texts.leakage import leakage

    found = {}
    for at, axis in enumerate(pass_.axes):
        if progress is not None:
            progress("leakage", at, len(pass_.axes))
        if tally.axes[axis.name].kind == "intersection":
            continue
        words = [proxy.word for proxy in proxies[axis.name].proxies] if axis.name in proxies else []
        found[axis.name] = leakage(pass_.rows, axis, proxies=words, seed=seed)
    if progress is not None:
        progress("leakage", len(pass_.axes), len(pass_.axes))
    return found


def _quality(pass_: _Pass, splits: Mapping[str, Dataset], seed: int) -> Quality:
    from .texts.artefacts import artefacts
    from .texts.repeats import Split

    others = {}
    for name, split in splits.items():
        other = _Pass(split, pass_.axes, Wanted((), frozenset({"quality"}), named=True))
        other.again()
        others[name] = Split(other.rows, other.copies)
    return artefacts(pass_.rows, pass_.axes, copies=pass_.copies, splits=others, seed=seed)
