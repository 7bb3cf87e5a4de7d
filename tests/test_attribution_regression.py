"""Regressions on measured biases: standard errors by their formulas, p values that are p values, planted truth."""

import itertools

import numpy as np
import pytest
from scipy import linalg, stats

from evenset.data.errors import InputError
from evenset.finetune.attribution import forms, ols, regression
from evenset.finetune.attribution.cells import GapTable, Grid
from evenset.finetune.attribution.forms import UpstreamScores
from evenset.finetune.attribution.regression import DATASET, UPSTREAM, Rows, regress


def clustered(rng, *, clusters=10, size=4, k=3, effect=0.0, sizes=None):
    """A regression with a cluster-level variable, an own one and errors that go together in a cluster."""
    code = np.repeat(np.arange(clusters), size) if sizes is None else np.repeat(np.arange(len(sizes)), sizes)
    n = len(code)
    x = np.column_stack([rng.normal(size=code.max() + 1)[code], rng.normal(size=(n, k - 2)), np.ones(n)])
    y = effect * x[:, 0] + 0.7 * rng.normal(size=code.max() + 1)[code] + rng.normal(size=n)
    return x, y, code


def test_cr2_is_its_formula():
    """Written out with whole matrices and another square root; unequal clusters, one of a single row."""
    x, y, code = clustered(np.random.default_rng(0), sizes=[1, 2, 3, 4, 5, 6, 7])
    found = ols.fit(x, y, code)
    se, df = found.cr2()
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    residual = y - hat @ y
    meat, whole = np.zeros((3, 3)), np.eye(len(y)) - hat
    roots = {}
    for g in range(7):
        m = code == g
        roots[g] = linalg.inv(linalg.sqrtm(whole[np.ix_(m, m)])).real
        u = x[m].T @ roots[g] @ residual[m]
        meat += np.outer(u, u)
    assert se == pytest.approx(np.sqrt(np.diag(bread @ meat @ bread)))
    for j in range(3):
        columns = np.column_stack([whole[code == g].T @ roots[g] @ x[code == g] @ bread[:, j] for g in range(7)])
        eigen = np.linalg.eigvalsh(columns.T @ columns)
        assert df[j] == pytest.approx(eigen.sum() ** 2 / (eigen**2).sum())


def test_cr2_of_a_mean_difference_is_welchs():
    """Two groups of independent rows: CR2 with one row a cluster is Welch's variance, and its df for equal sizes."""
    rng = np.random.default_rng(1)
    group = np.repeat([0.0, 1.0], [8, 8])
    y = rng.normal(size=16) + group * rng.normal(0, 2, 16)
    found = ols.fit(np.column_stack([group, np.ones(16)]), y, np.arange(16))
    se, df = found.cr2()
    a, b = y[:8], y[8:]
    assert se[0] == pytest.approx(np.sqrt(a.var(ddof=1) / 8 + b.var(ddof=1) / 8))
    assert df[0] == pytest.approx(14)  # the working model has equal variances
    assert found.coef[0] / se[0] == pytest.approx(stats.ttest_ind(b, a, equal_var=False).statistic)


def test_cr2_is_unbiased_where_the_working_model_holds():
    rng = np.random.default_rng(2)
    x, _, code = clustered(rng, clusters=6, size=3)
    bread = np.linalg.inv(x.T @ x)
    found = np.mean([ols.fit(x, rng.normal(size=18), code).cr2()[0] ** 2 for _ in range(1500)], axis=0)
    assert found == pytest.approx(np.diag(bread), rel=0.08)


def test_intervals_cover_with_few_clusters():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        x, y, code = clustered(rng, clusters=12, effect=0.5)
        found = ols.fit(x, y, code)
        se, df = found.cr2()
        held += abs(found.coef[0] - 0.5) < ols.quantile(df[0]) * se[0]
    assert 0.92 <= held / 400 <= 0.99


def test_two_ways_are_added_and_the_crossing_taken_off():
    rng = np.random.default_rng(4)
    x, y, code = clustered(rng, clusters=8, size=6)
    other = np.tile(np.arange(6), 8)
    found = ols.fit(x, y, code)
    n, k = x.shape

    def one(way):
        u = np.array([x[way == g].T @ found.residual[way == g] for g in np.unique(way)])
        return len(u) / (len(u) - 1) * (n - 1) / (n - k) * found.bread @ (u.T @ u) @ found.bread

    joint = np.diag(one(code) + one(other) - one(np.arange(n)))
    least = np.maximum(np.diag(one(code)), np.diag(one(other)))
    assert found.two_way(other) == pytest.approx(np.sqrt(np.maximum(joint, least)))


def test_the_wild_bootstrap_is_its_definition():
    """Every draw refitted from scratch, statistic and all."""
    x, y, code = clustered(np.random.default_rng(5), clusters=14, effect=0.3)
    found = ols.fit(x, y, code)
    rng = np.random.default_rng([7, 0x71D])
    signs = rng.choice([-1.0, 1.0], size=(99, 14))
    others = x[:, 1:]
    fitted = others @ np.linalg.lstsq(others, y, rcond=None)[0]

    def t(y):
        one = ols.fit(x, y, code)
        return abs(one.coef[0]) / np.sqrt(one._way(one.code, one.clusters)[0, 0])

    sample = t(y)
    drawn = [t(fitted + signs[at][code] * (y - fitted)) for at in range(99)]
    assert found.wild_p(0, repetitions=99, seed=7) == pytest.approx((1 + sum(d >= sample for d in drawn)) / 100)


@pytest.mark.parametrize("clusters", [8, 15])
def test_wild_p_is_uniform_where_there_is_nothing(clusters):
    rng = np.random.default_rng(6)
    p = []
    for at in range(300):
        x, y, code = clustered(rng, clusters=clusters)
        p.append(ols.fit(x, y, code).wild_p(0, repetitions=199, seed=at))
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_too_few_clusters_and_aliased_columns_are_refused():
    x, y, code = clustered(np.random.default_rng(0), clusters=3, size=5)
    with pytest.raises(InputError, match="3 terms or labels are too few for 3"):
        ols.fit(x, y, code)
    x, y, code = clustered(np.random.default_rng(0))
    with pytest.raises(InputError, match="not separable"):
        ols.fit(np.column_stack([x, 2 * x[:, 0]]), y, code)


def test_a_wide_interval_is_never_equivalent():
    for estimate, se in itertools.product([-0.05, 0.0, 0.05], [0.061, 0.1, 1.0]):
        assert ols.tost(estimate, se, 20, 0.1) > 0.05  # the 90 % interval is wider than the bounds
    p = ols.tost(0.02, 0.03, 15, 0.1)
    assert p == pytest.approx(max(stats.t.cdf((0.02 - 0.1) / 0.03, 15), stats.t.sf((0.02 + 0.1) / 0.03, 15)))


def world(rng, *, b_up=0.0, b_data=1.0, targets=28, ups=2, plans=3, r=0.5, noise=0.3, score_noise=0.0):
    """Labels whose gap comes from the bias of upstream and data; the data's is damped by the plans."""
    shared = rng.normal(size=targets)
    bias = [r * shared + np.sqrt(1 - r**2) * rng.normal(size=targets)]
    bias += [bias[0] * (1 - 0.6 * u) + 0.3 * rng.normal(size=targets) for u in range(1, ups)]
    damp = np.linspace(1, 0.2, plans)
    own = rng.normal(0, noise, targets)
    y, up, data, target, arm = [], [], [], [], []
    for i in range(targets):
        for u in range(ups):
            for d in range(plans):
                y.append(b_up * bias[u][i] + b_data * damp[d] * shared[i] + own[i] + rng.normal(0, noise / 2))
                up.append(bias[u][i])
                data.append(damp[d] * shared[i])
                target.append(i)
                arm.append(u * plans + d)
    seen = np.array(up) + score_noise * rng.normal(size=targets)[target]
    return Rows(np.array(y), seen, np.array(data), {}, np.array(target), np.array(arm))


def ask(rows, *, within=False, reliability=float("nan"), equivalence=0.2, repetitions=199):
    return regress(
        rows, name="x", response="y", within=within, reliability=reliability, equivalence=equivalence,
        repetitions=repetitions, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("within", [False, True])
def test_planted_coefficients_are_recovered(within):
    held = {UPSTREAM: 0, DATASET: 0}
    for at in range(60):
        found = ask(world(np.random.default_rng(at), b_up=0.4), within=within, repetitions=20)
        for name, truth in ((UPSTREAM, 0.4), (DATASET, 1.0)):
            held[name] += found.term(name).low <= truth <= found.term(name).high
    assert min(held.values()) >= 51  # nominal 57


def test_no_effect_of_the_upstream_is_shown_where_there_is_none():
    found = ask(world(np.random.default_rng(1), noise=0.1, targets=50), reliability=1.0)
    assert found.equivalence["equivalent"]
    assert found.term(DATASET).low > 0
    assert found.term(DATASET).lmg > found.term(UPSTREAM).lmg
    few = ask(world(np.random.default_rng(1), noise=1.5, targets=8), reliability=1.0)
    assert not few.equivalence["equivalent"]


def test_shares_of_r2_add_up_and_the_rest_is_by_hand():
    rows = world(np.random.default_rng(2), b_up=0.4)
    found = ask(rows)
    up, data = found.terms
    assert up.lmg + data.lmg == pytest.approx(found.r2)
    assert found.r == pytest.approx(np.corrcoef(rows.upstream, rows.dataset)[0, 1])
    assert up.vif == data.vif == pytest.approx(1 / (1 - found.r**2))
    left = np.linalg.lstsq(np.column_stack([rows.dataset, np.ones(len(rows.y))]), rows.y, rcond=None)[1][0]
    full = np.linalg.lstsq(np.column_stack([rows.upstream, rows.dataset, np.ones(len(rows.y))]), rows.y, rcond=None)[1][
        0
    ]
    assert up.partial_r2 == pytest.approx((left - full) / left)
    assert up.lmg_low <= up.lmg <= up.lmg_high
    means = np.array([rows.upstream[rows.target == i].mean() for i in range(28)])
    within = np.array([y - rows.y[rows.arm == arm].mean() for y, arm in zip(rows.y, rows.arm, strict=True)])
    assert up.beta_targets == pytest.approx(up.coef * means.std(ddof=1) / within.std(ddof=1))


def test_the_adjusted_share_of_noise_is_about_nothing():
    rng = np.random.default_rng(8)
    adjusted, plain = [], []
    for _ in range(15):
        rows = world(rng, b_data=0.0, targets=12, noise=1.0)
        term = ask(rows, repetitions=20).term(UPSTREAM)
        adjusted.append(term.lmg_adjusted)
        plain.append(term.lmg)
    assert abs(np.mean(adjusted)) < 0.06
    assert np.mean(plain) > np.mean(adjusted) + 0.01


def test_biases_that_go_together_are_not_separable():
    found = ask(world(np.random.default_rng(3), r=0.97, ups=1))
    assert not found.separable
    assert any("not separable observationally" in note for note in found.notes)


def test_a_noisy_score_is_corrected_for_its_noise():
    """Half of the score's variance is noise: the coefficient is about halved, and the correction undoes it."""
    naive, corrected = [], []
    for at in range(25):
        rng = np.random.default_rng(at)
        rows = world(rng, b_up=1.0, b_data=0.0, r=0.0, ups=1, plans=2, targets=50, noise=0.2, score_noise=1.0)
        found = ask(rows, reliability=0.5, repetitions=20)
        naive.append(found.term(UPSTREAM).beta_targets)
        corrected.append(found.disattenuated)
        assert found.disattenuated_low < found.disattenuated < found.disattenuated_high
        assert found.equivalence["of"].startswith("corrected")
    scale = np.mean(corrected) / np.mean(naive)
    assert 1.7 < scale < 2.6
    hopeless = ask(world(np.random.default_rng(1), ups=1, r=0.9), reliability=0.2)
    assert np.isnan(hopeless.disattenuated)
    assert any("too noisy" in note for note in hopeless.notes)


def test_what_does_not_vary_is_refused():
    rows = world(np.random.default_rng(0), ups=1)
    with pytest.raises(InputError, match="upstream bias does not differ between arms"):
        ask(rows, within=True)
    with pytest.raises(InputError, match="gap does not differ"):
        ask(Rows(0 * rows.y, rows.upstream, rows.dataset, {}, rows.target, rows.arm))


def test_renaming_targets_and_arms_changes_nothing():
    rows = world(np.random.default_rng(0), b_up=0.3)
    one = ask(rows)
    order = np.random.default_rng(1).permutation(28)
    two = ask(Rows(rows.y, rows.upstream, rows.dataset, {}, order[rows.target], rows.arm))
    for a, b in zip(one.terms, two.terms, strict=True):
        assert (a.coef, a.se, a.df, a.se_two_way, a.lmg) == pytest.approx((b.coef, b.se, b.df, b.se_two_way, b.lmg))


@pytest.mark.parametrize("reliability", [float("nan"), 0.0, -0.1])
def test_noise_that_is_not_taken_off_shows_no_equivalence(reliability):
    """A noisy score's coefficient is near 0 whatever the truth is."""
    rows = world(np.random.default_rng(1), noise=0.1, targets=50)
    assert ask(rows, reliability=1.0).equivalence["equivalent"]
    found = ask(rows, reliability=reliability).equivalence
    assert found["p"] < 0.05
    assert not found["equivalent"]
    assert "noise" in found["why_not"]
    assert not ask(rows, reliability=0.9, within=True).equivalence["equivalent"]


def test_rows_without_noise_are_corrected_for_none():
    """Half of the rows are of an upstream whose score is taken to be 0: what the others need is the same correction."""
    naive, corrected = [], []
    for at in range(30):
        rng = np.random.default_rng(at)
        true = rng.normal(size=60)
        seen = true + rng.normal(size=60)
        target, arm = np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)
        trained = (arm < 2).astype(float)
        y = 0.5 * true[target] * trained + 0.1 * rng.normal(size=240)
        rows = Rows(y, seen[target] * trained, rng.normal(size=60)[target], {}, target, arm)
        found = ask(rows, reliability=0.5, repetitions=20)
        naive.append(found.term(UPSTREAM).coef)
        per = found.term(UPSTREAM).beta_targets / found.term(UPSTREAM).coef
        corrected.append(found.disattenuated / per)
    assert np.mean(naive) < 0.3
    assert np.median(corrected) == pytest.approx(0.5, abs=0.06)


PLANS, UPS = tuple("abcdef"), ("pretrained", "random")


def stacked(rng, *, up=0.0, data=0.0, shock=0.0, plans=PLANS, mean=-0.8, targets=20):
    """Rows as the forms make them, of planted effects and of arms that move all targets alike."""
    names = tuple(f"t{i}" for i in range(targets))
    u, d = (rng.normal(size=targets) + mean for _ in range(2))
    damp = dict(zip(plans, np.linspace(1, 0, len(plans)), strict=True))
    own = 0.3 * rng.normal(size=targets)
    at, gap = {}, []
    for name in UPS:
        for plan in plans:
            at[name, plan, 0] = len(gap)
            here = up * u * (name == "pretrained") + data * damp[plan] * d
            gap.append(own + here + shock * rng.normal() + 0.1 * rng.normal(size=targets))
    table = GapTable(names, np.zeros(targets), np.full(targets, 50.0), at, np.array(gap), np.array(gap))
    scores = {
        "pretrained": UpstreamScores(dict(zip(names, u, strict=True)), 1.0),
        "random": UpstreamScores(dict.fromkeys(names, 0.0), assumed=True),
    }
    dataset = {plan: dict(zip(names, damp[plan] * d, strict=True)) for plan in plans}
    every = [(name, plan) for name in UPS for plan in plans]
    grid = Grid(UPS, plans, (0,))
    return forms._rows(table, grid, range(targets), every, table.gap, dataset, scores)


@pytest.mark.parametrize("within", [False, True])
def test_what_arms_do_to_all_targets_alike_is_no_effect_of_their_biases(within, monkeypatch):
    monkeypatch.setattr(regression, "PERMUTATIONS", 2)
    rng = np.random.default_rng(7)
    found = [ask(stacked(rng, shock=0.5), within=within, repetitions=9).term(DATASET) for _ in range(60)]
    assert sum(term.low > 0 or term.high < 0 for term in found) <= 8  # nominal 3; 40 without arms of their own


def test_effects_that_are_alike_get_like_shares(monkeypatch):
    """Upstream and data play the same part: whichever has a dummy to itself must not lose its share to it."""
    monkeypatch.setattr(regression, "PERMUTATIONS", 2)
    rng = np.random.default_rng(3)
    for within in (False, True):
        found = [
            ask(stacked(rng, up=0.3, data=0.3, plans=("raw", "cured"), mean=-2.0), within=within, repetitions=9)
            for _ in range(30)
        ]
        up, data = (np.mean([one.term(name).lmg for one in found]) for name in (UPSTREAM, DATASET))
        assert up == pytest.approx(data, rel=0.15)


def test_more_arms_than_targets_can_be_told_apart():
    rng = np.random.default_rng(0)
    rows = stacked(rng, up=0.3, data=0.5, targets=8)
    found = ask(rows, repetitions=20)
    assert found.arms > found.targets
    assert found.term(DATASET).low < 0.5 < found.term(DATASET).high
