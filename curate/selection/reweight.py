"""Weights under which group and label are independent (rule ``reweight.v1``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.config import ReweightStep
from ...data.errors import InputError
from ..units import Floats, Pattern

RULE = "reweight.v1"
_MOST_ROUNDS = 2000
_NEAR = 1e-13
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Factors:
    """What a reweight step multiplies weights by.

    Attributes
    ----------
    factor : float64 array, labels × patterns × strata
        A stratum is a length bucket where the factors differ by it, else all rows.
    raw : float64 array
        The same before the cap.
    report : dict
        How well they do: see `factors`.
    notes : list of str
        What a reader should know.
    """

    factor: Floats
    raw: Floats
    report: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def spread(self, buckets: int) -> Floats:
        """The factors with a last dimension of so many length buckets."""
        wide: Floats = np.broadcast_to(self.factor, (*self.factor.shape[:2], buckets))
        return wide


def factors(
    step: ReweightStep, mass: Floats, *, patterns: Sequence[Pattern], labels: Sequence[str] = (), where: str = ""
) -> Factors:
    """The factor of each cell under a reweight step.

    Parameters
    ----------
    step : ReweightStep
        Method, cap and whether length buckets stand each for themselves.
    mass : float64 array, labels × patterns × length buckets
        Rows of each cell, or the sums of their weights.
    patterns, labels
        What the cells are, for reports and messages.
    where : str
        Begins messages.

    Returns
    -------
    Factors
        Its report: ``cap``; ``over`` (cells whose factor the cap lowers: their number, their share of the mass and the
        largest by name); ``empty_cells`` (a label that a set of groups lacks cannot be given weight); ``cramers_v``
        (uncorrected, over whole sets of groups, after), ``cramers_v_uncapped`` (of the weights without the cap; raking
        and weights within buckets leave some by design), ``cramers_v_within`` (with ``within = "length"``: within
        buckets, pooled, after, and the same without the cap), ``label_off`` and ``groups_off`` (how far shares of
        labels and of groups have moved); ``effective_rows`` (of cells of equal weights) in all and by group; of raking
        ``rounds``, ``converged``, ``worst`` and the groups ``left_out``.

    Raises
    ------
    InputError
        When there is no weight at all, or one label only.

    Notes
    -----
    ``kamiran-calders``: P(label) P(groups) / P(label, groups), the groups taken as a set (Kamiran and Calders 2012).
    With ``within = "length"`` the same in each length bucket, P(label | bucket) / P(label | groups, bucket): label and
    groups are independent given the length, and how labels go with length stays.
    ``inverse-propensity``: the stabilised weight P(label) / P(label | groups, bucket) of Robins, Hernán and Brumback
    2000, the chance of a label being its share in the cell: label is independent of groups and length at once. With
    ``within = "length"`` the numerator is P(label | bucket), which is the weight above.
    ``per-term``: raking, `per_term`; with ``within = "length"`` in each bucket. In all of these shares of labels and of
    sets of groups (raking: of groups) stay as they are wherever no cell is empty and the cap is not met.

    Examples
    --------
    >>> step = ReweightStep(do="reweight", axis="pronouns")
    >>> found = factors(step, np.array([[[6.0], [2.0]], [[1.0], [1.0]]]), patterns=[("he",), ("she",)])
    >>> found.factor[:, :, 0].round(3).tolist(), bool(found.report["cramers_v"] < 1e-12)
    ([[0.933, 1.2], [1.4, 0.6]], True)
    """
    total = float(mass.sum())
    if total <= 0:
        raise InputError(f"{where}the weights of all rows are 0; choose another --weight")
    present = np.flatnonzero(mass.sum(axis=(1, 2)) > 0)
    if len(present) < 2:
        only = f' "{labels[int(present[0])]}"' if len(labels) else ""
        raise InputError(
            f"{where}every row that counts has the same label{only}, so there is no association that weights could "
            "change; is --label the right column?"
        )
    report: dict[str, Any] = {}
    names = sorted({name for pattern in patterns for name in pattern})
    member = np.array([[name in pattern for name in names] for pattern in patterns], np.bool_)
    member = member.reshape(len(patterns), len(names))
    if step.method == "inverse-propensity" and step.within is None:
        flat = mass.reshape(len(mass), -1)
        table, raw = mass, kamiran_calders(flat).reshape(mass.shape)
    else:
        table = mass if step.within else mass.sum(axis=2, keepdims=True)
        raw = np.ones_like(table)
        left_out: set[str] = set()
        rounds, off = 0, 0.0
        for at in range(table.shape[2]):
            part = table[:, :, at]
            if part.sum() <= 0:
                continue
            if step.method == "per-term":
                raked = per_term(part, member)
                raw[:, :, at] = raked.factor
                rounds, off = max(rounds, raked.rounds), max(off, raked.worst)
                rated = rateable(part, member)
                inside = (part.sum(axis=0) @ member) > 0
                left_out |= {name for k, name in enumerate(names) if k not in rated and inside[k]}
            else:
                raw[:, :, at] = kamiran_calders(part)
        if step.method == "per-term":
            report = {
                "rounds": rounds, "converged": off < 1e-6, "worst": off, "left_out": [n for n in names if n in left_out]
            }  # fmt: skip
    factor = capped(raw, table, step.cap)
    weighted = factor * table
    over = _over(raw, table, step.cap, patterns=patterns, labels=labels)
    report |= {
        "cap": step.cap,
        "over": over,
        "empty_cells": int(
            ((table == 0) & (table.sum(axis=0) > 0)[None] & (table.sum(axis=(1, 2)) > 0)[:, None, None]).sum()
        ),
        "cramers_v": cramers_v(weighted.sum(axis=2)),
        "cramers_v_uncapped": cramers_v((raw * table).sum(axis=2)),
        "label_off": float(np.abs(weighted.sum(axis=(1, 2)) - table.sum(axis=(1, 2))).max() / total),
        "groups_off": float(np.abs(weighted.sum(axis=(0, 2)) - table.sum(axis=(0, 2))).max() / total),
        "effective": {
            "all": _worth(factor, table),
            "groups": {name: _worth(factor[:, member[:, k]], table[:, member[:, k]]) for k, name in enumerate(names)},
        },
    }
    if step.within:
        report["cramers_v_within"] = {"after": pooled_v(weighted), "uncapped": pooled_v(raw * table)}
    notes = []
    if over["cells"]:
        named = ", ".join(f"{cell['label']} × {cell['groups']} ({cell['factor']:.3g})" for cell in over["named"][:3])
        more = f" and {over['cells'] - 3} more" if over["cells"] > 3 else ""
        notes.append(
            f"{over['cells']} rare cell{'s' * (over['cells'] != 1)} would weigh more than the cap of {step.cap:g}: "
            f"{named}{more}; {_left_by_cap(report)}"
        )
    if report.get("left_out"):
        left = report["left_out"]
        named = ", ".join(left[:_MOST_NAMED]) + (f" and {len(left) - _MOST_NAMED} more" * (len(left) > _MOST_NAMED))
        notes.append(f"no weights can help groups without one of the labels: {named}")
    return Factors(factor, raw, report, notes)


def _left_by_cap(report: dict[str, Any]) -> str:
    """What the cap leaves of the association, beside what the weights leave without it."""
    after, without = report["cramers_v"], report["cramers_v_uncapped"]
    said = f"the cap changes the Cramér's V that is left by {after - without:+.3g} (to {after:.3g})"
    within = report.get("cramers_v_within")
    if within:
        said += f"; within length buckets by {within['after'] - within['uncapped']:+.3g} (to {within['after']:.3g})"
    return said


def _over(
    raw: Floats, mass: Floats, cap: float, *, patterns: Sequence[Pattern], labels: Sequence[str]
) -> dict[str, Any]:
    """The cells that the cap lowers, those with the largest factors first."""
    places = np.argwhere((raw > cap) & (mass > 0))
    order = sorted(places.tolist(), key=lambda at: (-raw[tuple(at)], at))
    named = [
        {
            "label": labels[at[0]] if len(labels) else str(at[0]),
            "groups": " + ".join(patterns[at[1]]) or "no group",
            "bucket": at[2] if raw.shape[2] > 1 else None,
            "mass": float(mass[tuple(at)]),
            "factor": float(raw[tuple(at)]),
        }
        for at in order[:20]
    ]
    share = float(mass[raw > cap].sum() / mass.sum())
    return {"cells": len(order), "share": share, "named": named}


def _worth(factor: Floats, mass: Floats) -> float:
    """Effective rows of cells whose rows weigh alike."""
    squares = float((factor**2 * mass).sum())
    return float((factor * mass).sum()) ** 2 / squares if squares else 0.0


@dataclass(frozen=True, slots=True)
class Raked:
    """Factors a cell, and how well they do.

    Attributes
    ----------
    factor : float64 array, labels × patterns
    rounds : int
        Rounds of raking, 0 where none were needed.
    worst : float
        Largest distance that is left between a group's weighted share of a label and that of all rows.
    """

    factor: Floats
    rounds: int
    worst: float


def kamiran_calders(mass: Floats) -> Floats:
    """Factor of each cell by which group and label become independent, both margins staying as they are.

    Parameters
    ----------
    mass : float64 array, labels × patterns
        Rows of each cell, or the sum of their weights. A pattern is the whole set of a row's groups, so groups may
        overlap.

    Returns
    -------
    float64 array
        ``P(pattern) P(label) / P(pattern, label)``; 1 where there are no rows. A cell without rows cannot be given
        weight, so where there is one the margins are kept only nearly; `independence` says how nearly.

    Notes
    -----
    Kamiran and Calders 2012, reweighing.

    Examples
    --------
    >>> kamiran_calders(np.array([[6.0, 2.0], [1.0, 1.0]])).round(3).tolist()
    [[0.933, 1.2], [1.4, 0.6]]
    """
    total = mass.sum()
    expected = mass.sum(axis=1, keepdims=True) * mass.sum(axis=0, keepdims=True) / total
    factor: Floats = np.divide(expected, mass, out=np.ones_like(mass), where=mass > 0)
    return factor


def per_term(mass: Floats, member: npt.NDArray[np.bool_]) -> Raked:
    """Factors under which every group has the label shares of all rows, by raking.

    Parameters
    ----------
    mass : float64 array, labels × patterns
        Rows of each cell, or the sum of their weights.
    member : bool array, patterns × groups
        Which groups a pattern holds.

    Returns
    -------
    Raked
        The share of each group in all rows and the label shares of all rows stay as they are. Groups that lack a
        label cannot be raked and are left out.

    Notes
    -----
    Iterative proportional fitting (Deming and Stephan 1940) over the tables label × has the group, one after another.
    Weaker than `kamiran_calders`, which makes whole sets of groups independent of the label, and gentler: sets that
    are rare are not forced each for itself.

    Examples
    --------
    >>> mass = np.array([[80.0, 6.0, 3.0], [10.0, 4.0, 3.0]])
    >>> raked = per_term(mass, np.array([[False, False], [True, False], [True, True]]))
    >>> weighted = raked.factor * mass
    >>> bool(np.allclose(weighted[1, 1:].sum() / weighted[:, 1:].sum(), mass[1].sum() / mass.sum()))
    True
    """
    total, of_label = mass.sum(), mass.sum(axis=1)
    rated = rateable(mass, member)
    weighted = mass.astype(np.float64).copy()
    rounds, worst = 0, _off(weighted, member, rated, of_label / total)
    while worst > _NEAR and rounds < _MOST_ROUNDS:
        for group in rated:
            for side in (member[:, group], ~member[:, group]):
                now = weighted[:, side].sum(axis=1)
                goal = of_label * mass[:, side].sum() / total
                weighted[:, side] *= np.divide(goal, now, out=np.ones_like(now), where=now > 0)[:, None]
        rounds += 1
        worst = _off(weighted, member, rated, of_label / total)
    return Raked(np.divide(weighted, mass, out=np.ones_like(weighted), where=mass > 0), rounds, worst)


def rateable(mass: Floats, member: npt.NDArray[np.bool_]) -> list[int]:
    """Groups of which every label that occurs has rows, inside and outside the group."""
    labels = mass.sum(axis=1) > 0
    inside, outside = mass @ member, mass @ ~member
    return [
        group
        for group in range(member.shape[1])
        if (inside[labels, group] > 0).all() and (outside[labels, group] > 0).all()
    ]


def _off(weighted: Floats, member: npt.NDArray[np.bool_], groups: list[int], share: Floats) -> float:
    """Largest difference between a group's label shares and those wanted."""
    table = (weighted @ member)[:, groups]
    if not table.size:
        return 0.0
    return float(np.abs(table / table.sum(axis=0) - share[:, None]).max())


def capped(factor: Floats, mass: Floats, cap: float) -> Floats:
    """Factors no larger than the cap whose mean over the rows is 1.

    Where none is above the cap they are only scaled; otherwise the others are scaled up by what the cap takes away.

    Parameters
    ----------
    factor, mass : float64 arrays of one shape
        Factor and rows of each cell.
    cap : float
        More than 1, or no such factors exist.
    """
    total = mass.sum()
    held = np.zeros(factor.shape, np.bool_)
    while True:
        free = float((factor * mass)[~held].sum())
        scale = (total - cap * float(mass[held].sum())) / free if free > 0 else 1.0
        over = ~held & (factor * scale > cap) & (mass > 0)
        if not over.any():
            result: Floats = np.where(held, cap, factor * scale)
            return result
        held |= over


def effective_size(weight: Floats) -> float:
    """Effective sample size of weighted rows, ``(Σw)² / Σw²`` (Kish 1965).

    Examples
    --------
    >>> effective_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def cramers_v(table: Floats) -> float:
    """Cramér's V of a table of counts or weights, without correction: the association that is there, not an estimate.

    Examples
    --------
    >>> cramers_v(np.array([[10.0, 20.0], [20.0, 40.0]])), cramers_v(np.array([[5.0, 0.0], [0.0, 5.0]]))
    (0.0, 1.0)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    least = min(table.shape) - 1
    if least < 1:
        return 0.0
    total = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    return float(np.sqrt((((table - expected) ** 2) / expected).sum() / (total * least)))


def pooled_v(table: Floats) -> float:
    """Cramér's V within strata: the root of the mean of its square, each stratum as heavy as its weight.

    Parameters
    ----------
    table : float64 array, labels × patterns × strata
        Counts or weights.

    Examples
    --------
    >>> even, all_of_one = np.array([[10.0, 20.0], [20.0, 40.0]]), np.array([[45.0, 0.0], [0.0, 45.0]])
    >>> round(pooled_v(np.stack([even, all_of_one], axis=2)), 3)
    0.707
    """
    weight = table.sum(axis=(0, 1))
    squares = [cramers_v(table[:, :, at]) ** 2 if weight[at] > 0 else 0.0 for at in range(table.shape[2])]
    return float(np.sqrt(np.average(squares, weights=weight))) if weight.sum() > 0 else 0.0
