"""How `leakage` is computed: which rows answer which question, and the probe for each version of the text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data.features import features_of, frequent, narrowed
from ...data.hashing import combine, mix
from ...data.lexicon import load
from ...data.match import Matcher
from ...data.tokens import fold as folded
from ..intervals import z_of
from .auc import Area, area_interval, stratified_auc, variance_of
from .duplicates import near_duplicates
from .gender_checks import gendered, matched
from .leakage import Contrast, Estimate, Explained, Leakage, Step
from .mdl import code_length
from .probe import MIN_ROWS, Bools, HeldOut, Ints, Removal, folds_of, held_out, offsets, permuted, refits

if TYPE_CHECKING:
    from ...data.axes import Axis
    from ...data.hashing import Keys
    from ...data.lexicon import Lexicon
    from ...data.tokens import Tokens
    from .sampling import Rows

LEAST_CLUSTERS = 20
"""Of either group, for a label to count."""

LEAST_ROWS = 4_000
_REST = 5
"""Rows of the rest for each row of a group, label by label."""

# In cross-validation the rows of two folds judge each other in both directions.
_DOUBLED = 2.0


@dataclass(frozen=True)
class _Version:
    """The text with some tokens hidden."""

    name: str
    hidden: tuple[str, ...]
    keep: Bools


@dataclass(frozen=True)
class Question:
    """One contrast: its rows, and the probe that words are taken out of."""

    tokens: Tokens
    keep: Bools
    rows: Ints
    target: Bools
    stratum: Ints
    cluster: Ints
    probe: HeldOut

    def explain(self, words: Sequence[str]) -> tuple[Explained, ...]:
        """How much of the AUC each word explains, the most first."""
        removal = Removal(self.tokens, self.keep, self.rows, self.probe)
        whole = self._area(self.probe.score)
        z = z_of(0.95)
        found = []
        for word in dict.fromkeys(folded(word) for word in words):
            share, n = removal.contribution(word)
            if not n:
                found.append(Explained(word, _NOTHING, 0))
                continue
            without = self._area(self.probe.score - share)
            fall = whole.estimate - without.estimate
            half = z * math.sqrt(_DOUBLED * variance_of(whole.influence - without.influence, self.cluster))
            found.append(Explained(word, Estimate(fall, fall - half, fall + half), n))
        return tuple(sorted(found, key=lambda one: (-one.fall.estimate if one.rows else math.inf, one.word)))

    def _area(self, score: Any) -> Area:
        return stratified_auc(score, self.target, _cells(self.stratum, self.probe.fold), self.cluster)


_NOTHING = Estimate(math.nan, math.nan, math.nan)


def ask(
    rows: Rows,
    axis: Axis,
    *,
    proxies: Sequence[str],
    also_hide: Sequence[Lexicon] | None,
    permutations: int,
    most_rows: int,
    most_groups: int,
    bits: bool,
    seed: int,
) -> Leakage:
    """See `evenset.audit.texts.leakage.leakage`."""
    pair, groups, left = _contrasts(rows, axis, most_groups)
    each = max(most_rows // max(len(groups), 1), LEAST_ROWS)
    asked = [pair] if pair is not None else [(group, None) for group in groups]
    chosen = [_rows_of(rows, axis, first, second, most_rows if pair else each) for first, second in asked]
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *(where for where, _ in chosen)]))
    part = rows.take(every)
    versions = _versions(part, axis, proxies, also_hide)
    scrubbed = versions[-2] if proxies else versions[-1]
    cluster = near_duplicates(part.tokens, keep=scrubbed.keep, shared=part.cluster).cluster
    features = [features_of(part.tokens, version.keep) for version in versions]
    contrasts = []
    for names, (where, target) in zip(asked, chosen, strict=True):
        contrast = _contrast(
            part,
            names,
            np.searchsorted(every, where),
            target,
            cluster,
            [(version, of[np.searchsorted(every, where)]) for version, of in zip(versions, features, strict=True)],
            scrubbed,
            _label_only(rows, axis, *names),
            permutations=permutations,
            bits=bits,
            seed=seed,
        )
        contrasts.append(contrast)
    explained = contrasts[0].explain(proxies) if proxies and contrasts else ()
    return Leakage(axis.name, tuple(contrasts), left, rows.n, rows.total, explained)


def _contrasts(rows: Rows, axis: Axis, most: int) -> tuple[tuple[str, str] | None, tuple[str, ...], tuple[str, ...]]:
    """The two groups of the axis, or its commonest ones and those that are left."""
    member = rows.members[axis.name]
    seen = {group for pattern in member.patterns for group in pattern if axis.info(group).status}
    status = axis.status_groups
    names = tuple(sorted(seen)) if status is None else tuple(group for group in status if group in seen)
    known = names if status is None else status
    if len(known) == 2 and axis.kind != "intersection":
        return (known[0], known[1]), known, ()
    size = {group: int(member.rows_with(group).sum()) for group in names}
    order = sorted(names, key=lambda group: (-size[group], group))
    return None, tuple(order[:most]), tuple(order[most:])


def _versions(rows: Rows, axis: Axis, proxies: Sequence[str], also_hide: Sequence[Lexicon] | None) -> list[_Version]:
    """The raw text, then with more and more hidden."""
    tokens = rows.tokens
    own = list(axis.lexicons())
    if also_hide is None:
        also_hide = []
        if any(lexicon.name == "pronouns" for lexicon in own):
            also_hide = [load("gendered_nouns")]
        elif axis.kind == "column" and gendered(tokens, rows.members[axis.name], np.arange(rows.n)) is not None:
            own, also_hide = [load("pronouns")], [load("gendered_nouns")]
    keep = np.ones(tokens.n, np.bool_)
    versions = [_Version("raw", (), keep)]
    if own:
        for lexicon in own:
            keep = keep & ~matched(tokens, Matcher(lexicon))
        versions.append(_Version("scrubbed", tuple(lexicon.name for lexicon in own), keep))
    for lexicon in also_hide:
        keep = keep & ~matched(tokens, Matcher(lexicon))
        versions.append(_Version(f"scrubbed of {lexicon.name} too", (*versions[-1].hidden, lexicon.name), keep))
    if proxies:
        words = {folded(word) for word in proxies}
        is_proxy = np.fromiter((word in words for word in tokens.folded), np.bool_, len(tokens.folded))
        said = f"{len(words)} {'proxy' if len(words) == 1 else 'proxies'}"
        versions.append(_Version("without proxies", (*versions[-1].hidden, said), keep & ~is_proxy[tokens.ids]))
    return versions


def _rows_of(rows: Rows, axis: Axis, first: str, second: str | None, most: int) -> tuple[Ints, Bools]:
    """The rows of a contrast, by the order of their keys, and which of them are of the first group."""
    member = rows.members[axis.name]
    one = member.rows_with(first)
    if second is not None:
        chosen = np.flatnonzero(one ^ member.rows_with(second))[:most]
        return chosen, one[chosen]
    inside = np.flatnonzero(one)[: most // 2]
    outside = np.flatnonzero(~one & rows.uniform)
    # Within a label the AUC does not depend on how many rows of either group there are, so five for one are enough.
    wanted = _REST * np.bincount(rows.label[inside] + 1, minlength=len(rows.labels) + 1) + LEAST_CLUSTERS
    order = np.argsort(rows.label[outside], kind="stable")
    label = rows.label[outside][order] + 1
    begins = np.searchsorted(label, np.arange(len(rows.labels) + 1))
    outside = np.sort(outside[order[np.arange(len(order)) - begins[label] < wanted[label]]])
    outside = outside[: max(most - len(inside), 0)]
    chosen = np.sort(np.concatenate([inside, outside]))
    return chosen, one[chosen]


def _contrast(
    rows: Rows,
    groups: tuple[str, str | None],
    where: Ints,
    target: Bools,
    cluster: Ints,
    versions: Sequence[tuple[_Version, Any]],
    scrubbed: _Version,
    label_only: Estimate,
    *,
    permutations: int,
    bits: bool,
    seed: int,
) -> Contrast:
    labels = list(rows.labels)
    stratum = rows.label[where]
    if not labels:
        labels, stratum = [""], np.zeros(len(where), np.int64)
    used = _used(stratum, cluster[where], target, len(labels))
    left_out = tuple(label for label, inside in zip(labels, used, strict=True) if label and not inside)
    inside = (stratum >= 0) & used[stratum]
    where, target, stratum = where[inside], target[inside], stratum[inside]
    own, key = _compact(cluster[where]), _keys(rows, where)
    if not len(where):
        needed = (
            f"fewer than {LEAST_CLUSTERS} independent rows of either group in {'any label' if labels[0] else 'all'}"
        )
        return Contrast(*groups, 0, 0, 0, (), label_only, left_out, status="unclear", note=needed)
    fold = folds_of(own, key, seed=seed)
    steps: list[Step] = []
    mdl, question, before = None, None, None
    for version, every in versions:
        features = every[inside]
        tested = permutations if version.name == "scrubbed" or version is versions[-1][0] else 0
        if before is not None and np.array_equal(before.keep, version.keep) and not tested:
            steps.append(replace(steps[-1], name=version.name, hidden=version.hidden))
        else:
            columns = frequent(features, own.astype(np.uint64), least=MIN_ROWS)
            narrow = narrowed(features, columns)
            probe = held_out(narrow, columns, target, stratum, fold)
            shuffled = [permuted(target, stratum, own, key=key, seed=seed * 1000 + k) for k in range(tested)]
            null = [
                stratified_auc(score, other, _cells(stratum, fold), own).estimate
                for score, other in zip(refits(narrow, shuffled, stratum, fold), shuffled, strict=True)
            ]
            area = stratified_auc(probe.score, target, _cells(stratum, fold), own)
            steps.append(_step(version, area, labels, null, smaller=min(int(target.sum()), int((~target).sum()))))
        before = version
        if version is scrubbed:
            question = Question(rows.tokens, version.keep, where, target, stratum, own, probe)
        if bits and version.name == ("scrubbed" if len(versions) > 1 else "raw"):
            mdl = code_length(features, target, stratum, own, key, seed=seed)
    return Contrast(
        *groups,
        n_first=int(target.sum()),
        n_second=int((~target).sum()),
        clusters=int(own.max()) + 1,
        steps=tuple(steps),
        label_only=label_only,
        left_out=left_out,
        mdl=mdl,
        status="unclear" if not math.isfinite(steps[0].area.estimate) else None,
        question=question,
    )


def _used(stratum: Ints, cluster: Ints, target: Bools, labels: int) -> Bools:
    """Labels with enough clusters of either group."""
    given = np.flatnonzero(stratum >= 0)
    enough = np.ones(labels, np.bool_)
    for side in (True, False):
        at = given[target[given] == side]
        pairs = np.unique(np.stack([stratum[at], cluster[at]]), axis=1)
        enough &= np.bincount(pairs[0], minlength=labels) >= LEAST_CLUSTERS
    return enough


def _compact(cluster: Ints) -> Ints:
    found: Ints = np.unique(cluster, return_inverse=True)[1].ravel().astype(np.int64)
    return found


def _keys(rows: Rows, where: Ints) -> Keys:
    """Keys of the rows; copies of a text are told apart by how many have come before."""
    key = rows.key[where]
    order = np.argsort(key, kind="stable")
    same = np.zeros(len(key), np.bool_)
    same[1:] = key[order][1:] == key[order][:-1]
    first = np.flatnonzero(~same)
    number = np.empty(len(key), np.uint64)
    number[order] = np.arange(len(key)) - np.repeat(first, np.diff(np.append(first, len(key))))
    return combine(mix(key, salt="evenset.leakage"), number)


def _cells(stratum: Ints, fold: Ints) -> Ints:
    return stratum * (int(fold.max(initial=0)) + 1) + fold


def _step(version: _Version, area: Area, labels: Sequence[str], null: Sequence[float], *, smaller: int) -> Step:
    low, high = area_interval(area.estimate, _DOUBLED * area.variance, smaller)
    folds = len(area.areas) // max(len(labels), 1) if len(area.areas) % max(len(labels), 1) == 0 else 0
    return Step(
        name=version.name,
        hidden=version.hidden,
        area=Estimate(area.estimate, low, high),
        areas=_by_label(area, labels, folds),
        permutations=len(null),
        **_tested(area.estimate, null),
    )


def _by_label(area: Area, labels: Sequence[str], folds: int) -> dict[str, float]:
    """The area within each label, the mean over folds."""
    found = {}
    for k, label in enumerate(labels):
        part = slice(k * folds, (k + 1) * folds)
        weight = area.weight[part]
        if weight.sum() > 0 and label:
            found[label] = float(np.nansum(weight * area.areas[part]) / weight.sum())
    return found


def _tested(estimate: float, null: Sequence[float]) -> dict[str, float]:
    """Where the estimate stands among those of shuffled groups, taken as normal with unknown spread."""
    from scipy.special import stdtr

    if len(null) < 2 or not math.isfinite(estimate):
        return {}
    mean, sd = float(np.mean(null)), float(np.std(null, ddof=1))
    t = (estimate - mean) / (sd * math.sqrt(1 + 1 / len(null))) if sd > 0 else math.nan
    return {"null_mean": mean, "null_sd": sd, "p": float(stdtr(len(null) - 1, -t))}


def _label_only(rows: Rows, axis: Axis, first: str, second: str | None) -> Estimate:
    """AUC of the group from the label alone, its log odds taken from the other folds, in the sample of all rows."""
    member = rows.members[axis.name]
    one = member.rows_with(first)
    other = ~one if second is None else member.rows_with(second)
    at = np.flatnonzero(rows.uniform & (one ^ other) & (rows.label >= 0))
    if not len(at):
        return _NOTHING
    target, stratum = one[at], rows.label[at]
    fold = folds_of(np.arange(len(at)), _keys(rows, at))
    score = np.zeros(len(target))
    for k in range(int(fold.max()) + 1):
        out = fold == k
        score[out] = offsets(target, stratum, train=~out)[out]
    area = stratified_auc(score, target, fold, np.arange(len(at)))
    smaller = min(int(target.sum()), int((~target).sum()))
    return Estimate(area.estimate, *area_interval(area.estimate, area.variance, smaller))
