"""What each curation step takes away, and at what cost in rows touched: association and leakage before and after.

Usage: python curate_steps.py DATA_FOLDER OUT.json [name ...]     (names: gab bug bios comments)

Every row keeps a column with the groups of its raw text; `leakage` is how well a probe tells that group from the text
as the step leaves it, within labels (AUC, 0.5 is chance); `association` is the corrected Cramér's V of label and the
groups that the text names after the step, weighted where the step weighs. After a swap the column follows the words.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evenset import audit, curate, data
from evenset.data.axes import parse_axes
from evenset.data.config import inline_plan, parse
from evenset.data.scan import scan

SEED = 0
GABS = {
    "scrub": ["scrub:identity"],
    "scrub + 20 proxies": ["scrub:identity,proxies=20"],
    "scrub + all proxies": ["scrub:identity,proxies=all"],
    "swap, random term": ["swap:identity,to=random"],
    "swap, copies": ["swap:identity,to=random,mode=augment"],
    "reweight": ["reweight:identity"],
    "reweight per term": ["reweight:identity,method=per-term"],
    "resample to independence, under": ["resample:identity,target=independent"],
    "resample to log ratio .2, under": ["resample:identity,log_ratio=0.2"],
    "resample to log ratio .2, mixed": ["resample:identity,log_ratio=0.2,method=mixed"],
    "top-up": ["topup:identity,pool={folder}/dixon_topup/identity_snippets.tsv,pool_text=comment,label=0"],
}
PRONOUNS = {
    "scrub": ["scrub:pronouns"],
    "scrub + 20 proxies": ["scrub:pronouns,proxies=20,force=true"],
    "scrub + all proxies": ["scrub:pronouns,proxies=all,force=true"],
    "scrub pronouns, nouns, titles": ["scrub:gender"],
    "swap, copies": ["swap:pronouns,mode=augment"],
    "swap pronouns, nouns, titles, copies": ["swap:gender,mode=augment"],
    "reweight": ["reweight:pronouns"],
    "resample level 1, under": ["resample:pronouns,level=1"],
    "resample level 1, mixed": ["resample:pronouns,level=1,method=mixed"],
    "resample to log ratio .2, mixed": ["resample:pronouns,log_ratio=0.2,method=mixed"],
}


def grouped(dataset, axis: str, binary: str | None) -> pa.Array:
    """The group of each row on an axis of words: its only group, "mixed", or "none"."""
    found: list[str] = []
    (known,) = parse_axes([axis], names=dataset.names)
    for scanned in scan(dataset, [known]):
        member = scanned.members[known.name]
        names = ["none" if not p else binary or (p[0] if len(p) == 1 else "mixed") for p in member.patterns]
        found += [names[code] for code in member.code.tolist()]
    return pa.array(found)


def sources(folder: Path):
    gab = data.open(folder / "gab/train.csv", text="text", label="label", positive="1")
    yield "gab", gab, "identity", "identity", GABS
    config = parse(tomllib.loads((Path(__file__).parents[2] / "examples/professions.toml").read_text().replace(
        "${EVENSET_DATA}", str(folder))))  # fmt: skip
    from evenset.finetune.task import open_task

    yield "bug", open_task(config).train, "pronouns", None, PRONOUNS
    from evenset.data.sample import bios, comments

    for name, make, axis, steps in (("bios", bios, "pronouns", PRONOUNS), ("comments", comments, "identity", GABS)):
        table = make(6000, seed=SEED)
        table = table[0] if isinstance(table, tuple) else table
        keep = pa.table({"text": table["text"], "label": table["label"]})
        own = {key: value for key, value in steps.items() if "top-up" not in key}
        yield name, data.open(keep, text="text", label="label", positive="1" if axis == "identity" else None), axis, (
            "identity" if axis == "identity" else None
        ), own  # fmt: skip


def measured(place, axis: str, weight: str | None, positive: str | None) -> dict:
    given = {"text": "text", "label": "label", "positive": positive, "weight": weight}
    found = audit.run(data.open(place, **given), [axis], measures=["cramers_v"])
    v = next(f for f in found.findings if f.measure == "cramers_v")
    # The probe takes rows as they are: it does not weigh them.
    leaks = audit.run(data.open(place, **given), ["column:raw_group"], measures=["leakage"]).to_dict()["leakage"]
    first = next(c for c in next(iter(leaks.values()))["contrasts"] if c["steps"])
    step = first["steps"][0]
    return {
        "association": {"estimate": v.estimate, "low": v.low, "high": v.high, "n": v.n},
        "leakage": {key: step[key] for key in ("estimate", "low", "high")} | {"of": [first["first"], first["second"]]},
    }


def main() -> None:
    folder, target, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    kept = json.loads(target.read_text()) if target.exists() else {}
    for name, dataset, axis, binary, steps in sources(folder):
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            raw = Path(place) / "raw.parquet"
            rows = pa.concat_tables(
                pa.table({"text": b.text, "label": b.label.cast(pa.string())}) for b in dataset.batches()
            )
            bare = data.open(rows, text="text", label="label")
            rows = rows.append_column("raw_group", grouped(bare, axis, binary))
            pq.write_table(rows, raw)
            positive = dataset.columns.positive
            result = kept.setdefault(name, {"rows": rows.num_rows, "axis": axis, "steps": {}})
            result["raw"] = measured(raw, axis, None, positive)
            print(name, "raw", result["raw"], flush=True)
            for step, words in steps.items():
                begun = time.perf_counter()
                plan = inline_plan([word.format(folder=folder) for word in words])
                out = Path(place) / "out"
                opened = data.open(raw, text="text", label="label", positive=positive)
                curation = curate.run(opened, plan, seed=SEED, out=out, audited=False)
                written = out / "data.parquet"
                table = pq.read_table(written)
                if any(one.do in ("swap", "topup") for one in plan.step):
                    again = grouped(data.open(table, text="text", label="label"), axis, binary)
                    table = table.set_column(table.schema.get_field_index("raw_group"), "raw_group", again)
                    pq.write_table(table, written)
                weight = "weight" if "weight" in table.column_names else None
                report = curation.report
                counts = report["counts"]
                touched = report.get("touched", {}).get("rows")
                result["steps"][step] = {
                    "do": words, "counts": counts, "touched": touched, "rows_out": table.num_rows,
                    "seconds": time.perf_counter() - begun, **measured(written, axis, weight, positive),
                }  # fmt: skip
                print(name, step, result["steps"][step], flush=True)
                target.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
