"""The one configuration: ``evenset.toml``, validated whole before anything runs.

Every command reads the same file; flags override it. Errors name the key, what was found, what was expected and the
nearest right spelling. ``${NAME}`` in any string is replaced by the environment variable NAME.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import InputError, suggest

Positive = Annotated[float, Field(gt=0)]
Limit = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Growth = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
UPSTREAMS = ("pretrained", "random", "none")
"""Upstreams that need no table of their own; "none" is that of a model without pre-training."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"


class _Model(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Model):
    """``[data]``: where the rows are and which columns matter."""

    train: str | None = None
    dev: str | None = None
    test: str | None = None
    text: str | None = None
    label: str | None = None
    positive: str | None = None
    label_threshold: float | None = None
    id: str | None = None
    weight: str | None = None
    cluster: str | list[str] | None = None
    preset: str | None = None
    format: Literal["chat", "sharegpt", "alpaca", "preference"] | None = None
    roles: list[str] | None = Field(default=None, min_length=1)
    encoding: str = "utf-8"
    axes: list[str] = Field(default_factory=lambda: ["pronouns", "identity"], min_length=1)
    subsample: SubsampleConfig | None = None
    allow_overlap: bool = False

    @field_validator("positive", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        """Labels are compared as text, so ``positive = 1`` and ``positive = "1"`` are the same."""
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, int) else value


class SubsampleConfig(_Model):
    """``[data.subsample]``: shape the one file ``train`` into a task of chosen skew before anything else looks at it.

    Keeps rows of exactly two groups of ``axis``, draws them (by hash rank, so on every machine the same) so that in
    each label the share of the first group is the one in ``shares``, hides the word in ``mask_column`` in the text,
    and cuts the rows into train, dev and test.
    """

    axis: str = "pronouns"
    first: str = "she"
    second: str = "he"
    shares: dict[str, Share] = Field(min_length=2)
    min_rows: int = Field(default=60, ge=10)
    max_rows: int | None = Field(default=None, ge=10)
    mask_column: str | None = None
    mask: str = "_"
    split: tuple[Share, Share, Share] = (0.65, 0.10, 0.25)


class ProbeConfig(_Model):
    """``[probe]``: an extra test set, for example templates that cross every term with the same sentences."""

    path: str
    text: str | None = None
    label: str | None = None
    positive: str | None = None
    cluster: str | list[str] | None = None
    encoding: str = "utf-8"

    _positive = field_validator("positive", mode="before")(DataConfig._text.__func__)  # type: ignore[attr-defined]


class CheckRule(_Model):
    """``[[check]]``: limits on one measure; ``axis``, ``group`` and ``label`` narrow what it applies to.

    ``warn`` and ``fail`` limit the absolute value from above, ``warn_below`` and ``fail_below`` the value itself from
    below. ``warn_change`` and ``fail_change`` limit how much worse it may get than in the baseline: growth of the
    absolute value, or fall of the value where only lower limits are given.
    """

    measure: str
    axis: str | None = None
    group: str | None = None
    label: str | None = None
    warn: Limit | None = None
    fail: Limit | None = None
    warn_below: Limit | None = None
    fail_below: Limit | None = None
    warn_change: Growth | None = None
    fail_change: Growth | None = None

    @property
    def limited(self) -> bool:
        """Whether it limits the level, and not the change alone."""
        return (self.warn, self.fail, self.warn_below, self.fail_below) != (None,) * 4

    @property
    def upper(self) -> float | None:
        """The first limit from above that a growing absolute value meets."""
        return min((abs(limit) for limit in (self.warn, self.fail) if limit is not None), default=None)

    @property
    def lower(self) -> float | None:
        """The first limit from below that a falling value meets."""
        return max((limit for limit in (self.warn_below, self.fail_below) if limit is not None), default=None)

    @model_validator(mode="after")
    def _limits(self) -> CheckRule:
        if not self.limited and self.warn_change is None and self.fail_change is None:
            raise ValueError(
                "a check needs a limit: `warn`, `fail`, `warn_below` or `fail_below` "
                "(with --baseline also `warn_change` or `fail_change`)"
            )
        if self.warn is not None and self.fail is not None and abs(self.warn) > abs(self.fail):
            raise ValueError(f"`warn` ({self.warn}) must not be beyond `fail` ({self.fail})")
        if self.warn_below is not None and self.fail_below is not None and self.warn_below < self.fail_below:
            raise ValueError(f"`warn_below` ({self.warn_below}) must not be under `fail_below` ({self.fail_below})")
        if self.warn_change is not None and self.fail_change is not None and self.warn_change > self.fail_change:
            raise ValueError(
                f"`warn_change` ({self.warn_change}) must not be beyond `fail_change` ({self.fail_change})"
            )
        if self.upper is not None and self.lower is not None and self.lower >= self.upper:
            raise ValueError(f"nothing passes both: not above {self.upper} and not below {self.lower}")
        return self


Kept = Literal["urls", "emails", "handles", "code"]
"""Places in a text that edits leave alone unless a step's ``inside`` names them."""


_WAYS = ("drop", "neutral")


class ScrubStep(_Model):
    """Replace or remove the words of an axis, its learned proxies, or both.

    ``proxies`` is "all" or a number (the strongest so many); ``leakage`` stops at the fewest with which the group can
    be told from the text no better than this AUC. They are taken from ``audit`` (an audit.json), else found in the
    rows. ``words = false`` leaves the axis's own words. ``tagger`` is "off", "auto" (the first spaCy pipeline that is
    installed) or a pipeline's name; with it ``axis = "names"`` finds persons, and ``with = "neutral"`` agrees verbs.
    """

    do: Literal["scrub"]
    axis: str
    with_: str = Field(default="_", alias="with")
    groups: list[str] | None = None
    ambiguous: bool = False
    words: bool = True
    proxies: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    leakage: Annotated[float, Field(ge=0.5, le=1)] | None = None
    audit: str | None = None
    force: bool = False
    tagger: str = "off"
    inside: list[Kept] = Field(default_factory=list)

    @field_validator("proxies", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """``--do`` gives numbers as floats; ``proxies = true`` means all."""
        if isinstance(value, bool):
            return "all" if value else None
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @field_validator("with_", mode="after")
    @classmethod
    def _meant(cls, value: str) -> str:
        """A misspelt "drop" or "neutral" would else be written into the texts."""
        if not value.strip():
            raise ValueError('an empty mask: use with = "drop"')
        if value.isalpha() and value not in _WAYS:
            near = difflib.get_close_matches(value.casefold(), _WAYS, n=1, cutoff=0.7)
            if near:
                raise ValueError(f'"{value}" is a mask that would be written into the texts; did you mean "{near[0]}"?')
        return value

    @model_validator(mode="before")
    @classmethod
    def _enough(cls, values: Any) -> Any:
        """A target of leakage is one for the proxies."""
        if isinstance(values, dict) and values.get("leakage") is not None and values.get("proxies") is None:
            return values | {"proxies": "all"}
        return values

    @model_validator(mode="after")
    def _aims(self) -> ScrubStep:
        if self.proxies is None and not self.words:
            raise ValueError("words = false leaves a scrub nothing to do without `proxies`")
        if self.proxies is None and self.audit is not None:
            raise ValueError('`audit` is where proxies are read from; say which with proxies = "all" or a number')
        return self


class SwapStep(_Model):
    """Replace each word of an axis by the corresponding word of another group.

    ``to`` is "opposite", "random", "others" (a copy for every other group; only with ``mode = "augment"``), a group,
    or a table from group to group. ``names`` swaps first names too; ``mixed = "leave"`` leaves rows with words of
    several of the groups as they are.
    """

    do: Literal["swap"]
    axis: str
    mode: Literal["augment", "replace"] = "replace"
    to: str | dict[str, str] = "opposite"
    groups: list[str] | None = None
    ambiguous: bool = False
    names: bool = False
    mixed: Literal["swap", "leave"] = "swap"
    tagger: str = "off"
    inside: list[Kept] = Field(default_factory=list)

    @model_validator(mode="after")
    def _copies(self) -> SwapStep:
        if self.to == "others" and self.mode != "augment":
            raise ValueError('to = "others" makes a copy for every other group, so it needs mode = "augment"')
        return self


class TopupStep(_Model):
    """Add rows of a pool until each term's rows reach the overall label rate (Dixon 2018).

    ``pool_label`` names a column of the pool that says what its rows are; ``exclude`` names files (dev, test) whose
    texts must not be added.
    """

    do: Literal["topup"]
    axis: str
    pool: str
    pool_text: str | None = None
    pool_label: str | None = None
    placebo_pool: str | None = None
    exclude: list[str] = Field(default_factory=list)
    label: str | None = None
    target: Share | None = None
    groups: list[str] | None = None
    ambiguous: bool = False

    _label = field_validator("label", mode="before")(DataConfig._text.__func__)  # type: ignore[attr-defined]


class ResampleStep(_Model):
    """Drop or repeat rows until group and label have the correlation asked for.

    Exactly one goal: ``level`` (two groups: 0 raw, 1 balanced, 2 mirrored), ``target = "independent"``, ``log_ratio``
    (the largest absolute log ratio that may be left: with two groups of each label's centred one, else of the positive
    label's rate with and without each group) or ``rate`` (the positive label's share in each group's rows: a number,
    or "overall"). ``labels = "held"`` keeps the number of rows of each label; with a
    level that is reached by dropping alone, every label keeps ``rows × fewer / more`` of its two groups at any level
    (by repeating alone it gets ``rows × more / fewer``). ``labels = "equal"`` is for a level of two labels and two
    groups: both labels and both groups get as many rows at every level, rows of both groups or of none go, and level 0
    is full correlation. With ``min_rows`` a level leaves labels as they are that have fewer rows of either group.
    ``within = "length"`` reaches the goal in each length bucket.
    """

    do: Literal["resample"]
    axis: str
    level: Annotated[float, Field(ge=0, le=2)] | None = None
    target: Literal["independent"] | None = None
    log_ratio: Annotated[float, Field(ge=0)] | None = None
    rate: Share | Literal["overall"] | None = None
    method: Literal["under", "over", "mixed"] = "under"
    labels: Literal["free", "held", "equal"] = "free"
    min_rows: int = Field(default=0, ge=0)
    within: Literal["length"] | None = None

    @model_validator(mode="after")
    def _equal(self) -> ResampleStep:
        if self.labels == "equal" and (self.level is None or self.method != "under"):
            raise ValueError('labels = "equal" goes with a `level` and method = "under"')
        if self.min_rows and self.level is None:
            raise ValueError("min_rows goes with a `level`; nothing else leaves labels as they are")
        return self

    @model_validator(mode="after")
    def _goal(self) -> ResampleStep:
        given = [name for name in ("level", "target", "log_ratio", "rate") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "a resample step needs exactly one of `level` (0 raw, 1 balanced, 2 mirrored), "
                '`target = "independent"`, `log_ratio` or `rate`'
            )
        return self


class ReweightStep(_Model):
    """Weight rows so that group and label are independent.

    ``method = "inverse-propensity"`` weights by the inverse of a row's chance of its label given groups and length
    bucket. ``as_copies`` repeats and drops rows in proportion to the weights, for trainers that cannot weight.
    """

    do: Literal["reweight"]
    axis: str
    method: Literal["kamiran-calders", "per-term", "inverse-propensity"] = "kamiran-calders"
    cap: Annotated[float, Field(gt=1)] = 10.0
    within: Literal["length"] | None = None
    as_copies: bool = False


Step = Annotated[ScrubStep | SwapStep | TopupStep | ResampleStep | ReweightStep, Field(discriminator="do")]

PHASES = ("edits", "copies", "selection", "weights")


def phase(step: ScrubStep | SwapStep | TopupStep | ResampleStep | ReweightStep) -> int:
    """Index into PHASES: the point of a plan at which a step acts."""
    match step:
        case SwapStep(mode="augment") | TopupStep():
            return 1
        case ResampleStep():
            return 2
        case ReweightStep():
            return 3
        case _:
            return 0


class Plan(_Model):
    """``[plan.NAME]``: the steps of one curation, in four phases: edits, then copies, then selection, then weights."""

    step: list[Step] = Field(min_length=1)
    name: str = ""

    @model_validator(mode="after")
    def _order(self) -> Plan:
        phases = [phase(step) for step in self.step]
        for index, (before, after) in enumerate(pairwise(phases), start=2):
            if after < before:
                raise ValueError(
                    f"step {index} ({self.step[index - 1].do}, {PHASES[after]}) comes after step {index - 1} "
                    f"({self.step[index - 2].do}, {PHASES[before]}); the order is {', then '.join(PHASES)}"
                )
        return self


class UpstreamConfig(_Model):
    """``[upstream.NAME]``: a change of the released weights, made before fine-tuning.

    ``noise`` adds uniform or normal noise to every token embedding, clipped to the range of the matrix; ``permute``
    shuffles the entries of each weight matrix; ``project`` takes alpha times the part along the first `components`
    directions of `axis` out of the token embeddings; ``inlp`` does so to frozen features until a linear guesser of the
    groups is left with nothing (of the verdict's axis, unless `axis` is given), and needs ``finetune.frozen``.
    """

    kind: Literal["noise", "permute", "project", "inlp"]
    distribution: Literal["uniform", "normal"] = "uniform"
    scale: Positive = 1.0  # noise: c of Uniform(-c, c), or the deviation; in standard deviations of the matrix
    alpha: Annotated[float, Field(ge=0, le=2)] = 1.0
    components: int = Field(default=1, ge=1)
    axis: str = "gender"
    rounds: int = Field(default=35, ge=1)


class ArmConfig(_Model):
    """``[[arm]]``: a plan (``raw`` is the data as it is) under an upstream.

    The upstream is ``pretrained``, ``random`` (no pre-training) or the name of an ``[upstream.NAME]``.
    """

    plan: str
    upstream: str = "pretrained"
    name: str | None = None
    placebo: bool = True

    @field_validator("name", mode="after")
    @classmethod
    def _plain(cls, name: str | None) -> str | None:
        """Runs of an arm lie in a folder of its name, so it must not lead anywhere else."""
        if name is not None and not re.fullmatch(_NAME, name):
            raise ValueError(f'arm name "{name}": use letters, digits and -_.+, a letter or digit first')
        return name


class FinetuneConfig(_Model):
    """``[finetune]``: the model and how it is trained."""

    model: str = "linear"
    seeds: int = Field(default=8, ge=1)
    first_seed: int = 0
    screening_seeds: int = Field(default=2, ge=0)
    epochs: int = Field(default=3, ge=1)
    batch: int = Field(default=64, ge=1)
    lr: Positive = 5e-5
    random_epochs: int = Field(default=6, ge=1)
    random_lr: Positive = 1e-4
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: Share = 0.06
    max_tokens: int = Field(default=128, ge=8)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    bootstrap_rows: bool | None = None  # by default for `linear` only, whose seeds would else be one run
    workers: int | None = Field(default=None, ge=1)  # processes; by default one a core (linear) or one a GPU
    stacked: int = Field(default=1, ge=1)  # runs trained at once on one device; more than 1 needs a BERT encoder
    frozen: bool = False  # the encoder stays as it is: a logistic regression on its features
    copies: list[Literal["scrubbed", "swapped"]] = Field(default_factory=list)  # of the test set, scored for every run
    save_model: bool = False


class VerdictConfig(_Model):
    """``[verdict]``: the measure and the margins, fixed before training."""

    measure: Literal["fpr", "tpr"] = "fpr"
    axis: str | None = None
    margin: Positive = 0.02
    guard: Literal["auto", "auc", "macro_f1"] = "auto"
    guard_loss: Positive = 0.01
    worst_group_loss: Positive = 0.02
    ambiguous: bool = False
    choose: bool = False  # pick one arm an upstream by dev rows and screening seeds; only it gets a verdict


class AttributionConfig(_Model):
    """``[attribution]``: data or upstream? Made where arms cross at least two plans with at least two upstreams."""

    measure: Literal["auto", "pronoun-ranking", "negativity", "association", "none"] = "auto"  # of the upstream
    repetitions: int = Field(default=2000, ge=100)
    equivalence: Positive = 0.1  # an upstream coefficient within this, standardised, counts as no effect (TOST)


class Config(_Model):
    """A whole ``evenset.toml``."""

    data: DataConfig = Field(default_factory=DataConfig)
    probe: ProbeConfig | None = None
    reference: dict[str, dict[str, Share]] = Field(default_factory=dict)
    check: list[CheckRule] = Field(default_factory=list)
    plan: dict[str, Plan] = Field(default_factory=dict)
    upstream: dict[str, UpstreamConfig] = Field(default_factory=dict)
    arm: list[ArmConfig] = Field(default_factory=list)
    finetune: FinetuneConfig = Field(default_factory=FinetuneConfig)
    verdict: VerdictConfig = Field(default_factory=VerdictConfig)
    attribution: AttributionConfig = Field(default_factory=AttributionConfig)

    @field_validator("upstream", mode="after")
    @classmethod
    def _upstreams(cls, upstreams: dict[str, UpstreamConfig]) -> dict[str, UpstreamConfig]:
        for name in upstreams:
            if name in UPSTREAMS or not re.fullmatch(_NAME, name):
                raise ValueError(
                    f'upstream name "{name}": use letters, digits and -_.+ (and none of {", ".join(UPSTREAMS)})'
                )
        return upstreams

    @field_validator("plan", mode="after")
    @classmethod
    def _named(cls, plans: dict[str, Plan]) -> dict[str, Plan]:
        for name in plans:
            if name == "raw" or not re.fullmatch(_NAME, name):
                raise ValueError(
                    f'plan name "{name}": use letters, digits and -_.+ (and not "raw", which is the data as it is)'
                )
        return {name: plan.model_copy(update={"name": name}) for name, plan in plans.items()}

    @model_validator(mode="after")
    def _arms(self) -> Config:
        for arm in self.arm:
            if arm.plan != "raw" and arm.plan not in self.plan:
                raise ValueError(f'arm: no plan "{arm.plan}".{suggest(arm.plan, [*self.plan, "raw"])}')
            known = [*UPSTREAMS[:2], *self.upstream]
            if arm.upstream not in known:
                raise ValueError(
                    f'arm.upstream: "{arm.upstream}" is not one of {", ".join(known)} (more are made with '
                    f"[upstream.NAME]).{suggest(arm.upstream, known)}"
                )
        return self

    def get_plan(self, name: str) -> Plan:
        """The plan called `name`, or an InputError that lists the plans there are."""
        if name not in self.plan:
            known = ", ".join(self.plan) or "none"
            raise InputError(f'no plan "{name}" in the config.{suggest(name, self.plan)} Plans there: {known}.')
        return self.plan[name]


DataConfig.model_rebuild()


def load(path: str | Path) -> Config:
    """Read and validate a config file.

    Parameters
    ----------
    path
        A TOML file. ``${NAME}`` in strings is replaced by the environment; relative data paths are left as they are
        (relative to the working directory).

    Raises
    ------
    InputError
        For a missing file, TOML that does not parse (with line and column), unset variables and every key that does
        not validate: one message that lists all of them.

    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such config file. `evenset check DATA --init` writes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a config file: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    return parse(raw, source=str(path))


def parse(raw: dict[str, Any], *, source: str = "config") -> Config:
    """Validate a config given as nested dicts.

    Examples
    --------
    >>> parse({"finetune": {"seeds": 5}}).finetune.seeds
    5
    >>> parse({"finetune": {"sedes": 5}})
    Traceback (most recent call last):
        ...
    evenset.data.errors.InputError: config: finetune.sedes: unknown key. Did you mean "seeds"?

    """
    raw = _expand(raw, source=source)
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = _problems(error)
        lead = f"{source}: " if len(problems) == 1 else f"{source}: {len(problems)} problems\n  "
        raise InputError(lead + "\n  ".join(problems)) from None


def inline_plan(steps: Sequence[str]) -> Plan:
    """The plan that ``--do`` names on the command line, one step each.

    Parameters
    ----------
    steps
        ``STEP:AXIS`` and any options of the step, for example ``resample:pronouns,level=1``. Numbers, true and false
        mean what they mean in TOML; several groups are written ``groups=she+he``, a table ``to=she:he+he:they``.

    Raises
    ------
    InputError
        For a step that is not written so, or that a config would not take.

    Examples
    --------
    >>> [step.do for step in inline_plan(["scrub:pronouns,with=drop", "reweight:identity,cap=5"]).step]
    ['scrub', 'reweight']
    >>> inline_plan(["reweigh:identity"])
    Traceback (most recent call last):
        ...
    evenset.data.errors.InputError: --do: step[1]: "reweigh" is not one of scrub, swap, topup, resample, reweight. \
Did you mean "reweight"?

    """
    found = []
    for step in steps:
        head, *options = step.split(",")
        do, colon, axis = head.partition(":")
        if not colon or not axis or not all("=" in option for option in options):
            raise InputError(f'--do "{step}": write STEP:AXIS[,OPTION=VALUE], for example resample:pronouns,level=1')
        values: dict[str, str] = {}
        for key, value in (option.split("=", 1) for option in options):
            if key in values:
                raise InputError(
                    f'--do "{step}": option {key} is given twice; '
                    + (f"write {key}={values[key]}+{value}" if key in _SEVERAL else "give it once")
                )
            values[key] = value
        found.append({"do": do, "axis": axis, **{key: _value(step, key, value) for key, value in values.items()}})
    try:
        return Plan.model_validate({"step": found, "name": "inline"})
    except ValidationError as error:
        raise InputError("\n  ".join(f"--do: {problem}" for problem in _problems(error))) from None


_SEVERAL = frozenset({"groups", "inside", "exclude", "to"})
"""Options that take several values, with + between them."""


def _value(step: str, key: str, text: str) -> Any:
    if key == "to" and ":" in text:
        pairs: dict[str, str] = {}
        for pair in text.split("+"):
            group, colon, other = pair.partition(":")
            if not (group and colon and other):
                raise InputError(f'--do "{step}": to: "{pair}" is no pair; write GROUP:GROUP, as in to=she:he+he:they')
            if group in pairs:
                raise InputError(f'--do "{step}": to: the group "{group}" is given twice')
            pairs[group] = other
        return pairs
    if key in _SEVERAL and key != "to":
        return text.split("+")
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _expand(value: Any, *, source: str, key: str = "") -> Any:
    """Replace ${NAME} in all strings of a nested structure."""
    if isinstance(value, dict):
        return {name: _expand(item, source=source, key=f"{key}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, source=source, key=key) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise InputError(
                f"{source}: {key}: the environment variable {name} is not set; run `export {name}=...` first"
            )
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", variable, value)


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataConfig, "probe": ProbeConfig, "check": CheckRule, "arm": ArmConfig, "finetune": FinetuneConfig,
    "verdict": VerdictConfig, "attribution": AttributionConfig, "upstream": UpstreamConfig,
    "subsample": SubsampleConfig, "scrub": ScrubStep, "swap": SwapStep, "topup": TopupStep,
    "resample": ResampleStep, "reweight": ReweightStep,
}  # fmt: skip


_STEPS = frozenset({"scrub", "swap", "topup", "resample", "reweight"})


_EITHER = {
    "rate": "a number from 0 to 1, or overall", "proxies": "a whole number from 1 on, or all",
    "to": "a group, opposite, random or others, or a table from group to group",
    "cluster": "a column, or a list of columns",
}  # fmt: skip
"""What keys take that may be of several types: pydantic has one error for each."""

_BRANCH = re.compile(r"(str|int|float|constrained-\w+|(literal|list|dict)\[.*)")
_NO_NUMBER = {"float_parsing": "a number", "float_type": "a number", "int_parsing": "a whole number",
              "int_type": "a whole number", "int_from_float": "a whole number"}  # fmt: skip


def _problems(error: ValidationError) -> list[str]:
    """Each mistake as one line, also where a key may be of several types."""
    return list(dict.fromkeys(_problem(item) for item in _merged(error)))


def _merged(error: ValidationError) -> list[Any]:
    """Pydantic's errors, those of the types that one key may have as a single one."""
    found: list[Any] = []
    for item in error.errors(include_url=False):
        location = item["loc"]
        at = next(
            (
                at
                for at, (key, part) in enumerate(pairwise(location))
                if key in _EITHER and isinstance(part, str) and _BRANCH.fullmatch(part)
            ),
            None,
        )
        if at is None:
            found.append(item)
            continue
        takes = _EITHER[str(location[at])]
        merged = {"type": "either", "loc": location[: at + 1], "msg": takes, "input": item["input"]}
        if not any(other["loc"] == merged["loc"] for other in found):
            found.append(merged)
    return found


def _problem(item: Any) -> str:
    """One error as a line a person can act on."""
    location = item["loc"]
    key = ""
    for before, part in zip((None, *location), location, strict=False):
        if isinstance(part, int):
            key += f"[{part + 1}]"
        elif not (isinstance(before, int) and part in _STEPS):  # pydantic names the kind of step after its index
            key += f".{part}"
    key = key.lstrip(".")
    if item["type"] == "extra_forbidden":
        section = next((_SECTIONS[p] for p in reversed(location[:-1]) if p in _SECTIONS), Config)
        choices = [field.alias or name for name, field in section.model_fields.items()]
        return f"{key}: unknown key.{suggest(str(location[-1]), choices) or ' Known: ' + ', '.join(choices) + '.'}"
    found = item.get("input")
    shown = "" if item["type"] in ("missing", "value_error") or isinstance(found, dict | list) else f"; found {found!r}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] in _NO_NUMBER:
        message = f"must be {_NO_NUMBER[item['type']]}"
    if item["type"] in ("literal_error", "union_tag_invalid"):
        expected = str(item["ctx"].get("expected") or item["ctx"].get("expected_tags"))
        options = re.findall(r"'([^']*)'", expected)
        wrong = str(item["ctx"].get("tag", found))
        return f'{key}: "{wrong}" is not one of {", ".join(options)}.{suggest(wrong, options)}'
    line = f"{message[0].lower() + message[1:]}{shown}"
    return f"{key}: {line}" if key else line
