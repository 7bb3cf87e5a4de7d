"""Does the audit predict the gap? python predict.py OUT.json CONFIG=VERDICT.json [CONFIG=VERDICT.json ...]

Each plan of a config is applied with the first seed, its rows are audited as a user would audit them, and the audit's
scores are held against the gap G that models trained on those rows had (from the verdict). Two audits of every plan:
of the words that are left in the text, and of the groups that the rows had before (a column), which scrubbing cannot
hide. What is compared is rank correlation (Spearman) over plans, with a bootstrap interval over plans.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import rankdata

from evenset import audit, curate
from evenset.data import open as open_data
from evenset.data.axes import parse_axes
from evenset.data.config import load
from evenset.data.hashing import Seen, row_keys
from evenset.data.scan import scan
from evenset.finetune.task import open_task, plans_of

REPETITIONS = 2000
MIN_ROWS = 10  # of a label, that name one of the two groups: fewer say nothing of its shares
SCORES = ("v", "nmi", "slope", "v_before", "slope_before", "leakage", "slope_before_x_leakage")


def groups_before(task, axis):
    """Groups of each raw row by its key, joined by +; "none" without any."""
    found, seen = {}, Seen()
    for scanned in scan(task.train, [axis], columns=task.train.columns.roles()):
        batch = scanned.batch
        keys = row_keys(batch.text, batch.label, ids=None, seen=seen, start=batch.start, id_name="id")
        names = ["+".join(sets) or "none" for sets in scanned.members[axis.name].sets()]
        found.update(zip(keys.tolist(), names, strict=True))
    return found


def slope(label, sets, weight, yard, positive):
    """What is left of the raw imbalance: the slope of the rows' own imbalance on that of the raw rows (1 in raw)."""
    label, weight = np.asarray(label, object), np.asarray(weight, float)
    member = {name: np.array([name in group for group in sets]) for name in {g for s in sets for g in s}}
    c, now = [], []
    for entry in yard["entries"]:
        if not entry["used"]:
            continue
        name = entry["name"]
        if yard["measure"] == "fpr":
            one, yes = member.get(name, np.zeros(len(label), bool)), label == positive
            t, n = weight[one & yes].sum(), weight[one].sum()
            t0, n0 = weight[~one & yes].sum(), weight[~one].sum()
            # As the yardstick's own coefficient: an empirical-Bayes log ratio, prior of 20 rows at the others' rate.
            rate = t0 / n0
            now.append(np.log((t + 20 * rate) / (n + 20) / rate))
        else:
            here = label == name
            she = weight[here & member.get(yard["first"], np.zeros(len(label), bool))].sum()
            he = weight[here & member.get(yard["second"], np.zeros(len(label), bool))].sum()
            now.append(she / (she + he) if she + he >= MIN_ROWS else np.nan)
        c.append(entry["c"])
    c, now = np.array(c), np.array(now)
    known = ~np.isnan(now)
    if not known.any():
        return 0.0
    c, now = c[known] - c[known].mean(), now[known]
    return float(c @ now / (c @ c))


def audited(table, axis_spec, work, *, leakage):
    """Axis score, nmi and leakage of rows that lie in a table with text, label, weight and before."""
    path = Path(work) / "rows.parquet"
    pq.write_table(table, path)
    data = open_data(str(path), text="text", label="label", weight="weight", positive=None)
    measures = ["counts", "association", *(["leakage"] if leakage else [])]
    report = audit.run(data, [axis_spec], measures=measures).to_dict()
    score = next(iter(report["scores"].values()), {}) or {}
    nmi = [f["estimate"] for f in report["findings"] if f["measure"] == "nmi" and f["group"] is None]
    leak = [f for f in report["findings"] if f["measure"] == "leakage_auc"]
    weights = np.array([f["n"] for f in leak], float)
    value = float(np.average([f["estimate"] for f in leak], weights=weights)) if leak else None
    return score.get("value"), nmi[0] if nmi else None, value


def of_config(config_path, verdict_path, work):
    config, verdict = load(config_path), json.loads(Path(verdict_path).read_text(encoding="utf-8"))
    task, yard = open_task(config), verdict["yardstick"]
    axis = next(a for a in parse_axes(config.data.axes, names=task.train.names) if a.name == task.axis)
    before, ready = groups_before(task, axis), plans_of(config)
    prepared = curate.prepare(task.train, [task.axis])
    rows = []
    plans = {"raw": None, **{name: ready[name] for name in config.plan}}
    for name, plan in plans.items():
        arms = [gap for gap in verdict["gaps"] if gap["arm"] == name]
        if not arms:
            continue
        if plan is None:
            batches = list(task.train.batches(columns=task.train.columns.roles()))
            text = pa.chunked_array([b.text for b in batches], pa.large_string())
            label = pa.chunked_array([b.label for b in batches], pa.string())
            seen = Seen()
            keys = np.concatenate(
                [row_keys(b.text, b.label, ids=None, seen=seen, start=b.start, id_name="id") for b in batches]
            )
            weight = np.ones(len(text))
        else:
            table = curate.run(
                prepared, plan, seed=config.finetune.first_seed, placebo=False, positive=task.positive
            ).rows
            text, label = table.column("text"), table.column("label")
            weight, keys = table.column("weight").to_numpy(), table.column("evenset_row").to_numpy()
        was = (
            [before[key] for key in keys.tolist() if key in before]
            if plan is None
            else [before.get(key, "added") for key in keys.tolist()]
        )
        table = pa.table({"text": text, "label": label, "weight": weight, "before": was})
        v, nmi, _ = audited(table, task.axis, work, leakage=False)
        # A row that a pool added names what its text names.
        path = Path(work) / "rows.parquet"
        data = open_data(str(path), text="text", label="label", weight="weight")
        scanned = scan(data, [axis], columns=data.columns.roles())
        now = [set(names) for part in scanned for names in part.members[axis.name].sets()]
        old = [set(w.split("+")) - {"none"} if w != "added" else n for w, n in zip(was, now, strict=True)]
        multi = [w if w in ("none", "added") or "+" not in w else "several" for w in was]
        v_before, _, leak = audited(table.set_column(3, "before", pa.array(multi)), "column:before", work, leakage=True)
        label_list = label.to_pylist()
        s_now = slope(label_list, now, weight, yard, task.positive)
        s_before = slope(label_list, old, weight, yard, task.positive)
        for gap in arms:
            base = next(g for g in verdict["gaps"] if g["arm"] == "raw" and g["upstream"] == gap["upstream"])
            rows.append(
                {
                    "experiment": Path(config_path).stem, "plan": name,
                    "upstream": gap["upstream"], "gap": gap["gap"], "gap_share": gap["gap"] / base["gap"],
                    "v": v or 0.0, "nmi": nmi or 0.0, "slope": s_now, "v_before": v_before or 0.0,
                    "slope_before": s_before, "leakage": leak,
                    "slope_before_x_leakage": None if leak is None else s_before * max(0.0, 2 * leak - 1),
                }
            )  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
    return rows


def spearman(x, y):
    x, y = rankdata(x) - (len(x) + 1) / 2, rankdata(y) - (len(y) + 1) / 2
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def correlation(rows, score):
    """Spearman's rho of a score and G as a share of the raw one, with a bootstrap interval over plans."""
    pairs = np.array([[row[score], row["gap_share"]] for row in rows if row[score] is not None], float)
    if len(pairs) < 5 or np.ptp(pairs[:, 0]) == 0:
        return None
    draws, values = np.random.default_rng(0), []
    for _ in range(REPETITIONS):
        some = pairs[draws.integers(0, len(pairs), len(pairs))]
        if np.ptp(some[:, 0]) > 0 and np.ptp(some[:, 1]) > 0:
            values.append(spearman(some[:, 0], some[:, 1]))
    low, high = np.quantile(values, [0.025, 0.975])
    return {
        "rho": round(spearman(pairs[:, 0], pairs[:, 1]), 3), "low": round(float(low), 3), "high": round(float(high), 3),
        "n": len(pairs),
    }  # fmt: skip


if __name__ == "__main__":
    out, rows = Path(sys.argv[1]), []
    with tempfile.TemporaryDirectory() as work:
        for pair in sys.argv[2:]:
            config_path, _, verdict_path = pair.partition("=")
            rows += of_config(config_path, verdict_path, work)
    kinds = {"all": rows}
    for row in rows:
        kinds.setdefault(f"{row['upstream']}", []).append(row)
        kinds.setdefault(f"{row['experiment']}, {row['upstream']}", []).append(row)
    found = {kind: {score: correlation(some, score) for score in SCORES} for kind, some in kinds.items()}
    out.write_text(json.dumps({"rows": rows, "correlations": found}, indent=1) + "\n", encoding="utf-8")
    for kind, scores in found.items():
        print(kind, {k: v and f"{v['rho']:.2f} [{v['low']:.2f}, {v['high']:.2f}]" for k, v in scores.items()})
