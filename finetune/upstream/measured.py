"""What was measured of a model before any fine-tuning: a score for each target, and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...data.errors import InputError
from ..judging.inference import LEVEL, Clusters, t_interval
from .language import Floats
from .reliability import Reliability, split_half

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "evenset.upstream/1"
FILE = "upstream.json"


class Score(NamedTuple):
    """A score with its interval."""

    score: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UpstreamBias:
    """The bias that a model brings along.

    Attributes
    ----------
    kind : {"pronoun-ranking", "negativity", "association"}
    model : str
    axis : str
        "identity" and lexicons: groups of people; any other: professions, or whatever the labels are.
    upstream : str
        Which weights: "pretrained" or what was done to them.
    seeds : int
        Weights averaged over, such as draws of noise.
    unit : str
        Of the scores, with what positive means.
    overall : Score
        Mean over targets; its interval allows for other targets, templates and seeds.
    targets : mapping from str to Score
        By the name as it was given (a label, a group), in the order given; intervals over templates and seeds.
    templates : tuple of str
    per_template : mapping from str to tuple of float
        Of each target, one score a template, mean over seeds.
    reliability : Reliability
    notes : tuple of str
        What could not be done as asked, and why.
    """

    kind: str
    model: str
    axis: str
    upstream: str
    seeds: int
    unit: str
    overall: Score
    targets: Mapping[str, Score]
    templates: tuple[str, ...]
    per_template: Mapping[str, tuple[float, ...]]
    reliability: Reliability
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> dict[str, float]:
        """Score of each target: positive favours the first pronoun (she), or is the more negative."""
        return {name: found.score for name, found in self.targets.items()}

    @classmethod
    def of(
        cls,
        scores: Floats,
        names: Sequence[str],
        templates: Sequence[str],
        *,
        kind: str,
        model: str = "",
        axis: str = "pronouns",
        upstream: str = "pretrained",
        unit: str = "",
        notes: Sequence[str] = (),
        seed: int = 0,
    ) -> UpstreamBias:
        """From scores of all targets in all templates.

        Parameters
        ----------
        scores : numpy.ndarray
            Seeds × targets × templates.
        names : sequence of str
            Targets.
        templates : sequence of str
            Their sentences.
        kind, model, axis, upstream, unit, notes
            As the attributes.
        seed : int
            Of the bootstrap of the reliability.

        Raises
        ------
        InputError
            A score is no number.

        Notes
        -----
        `t_interval`: of one target the templates are the clusters, of the mean over targets both targets and
        templates are; with several seeds their variance is added.

        Examples
        --------
        >>> import numpy as np
        >>> found = UpstreamBias.of(np.array([[[1.0, 2.0, 3.0], [-1.0, -2.0, 0.0]]]), ["nurse", "pilot"],
        ...                         ["a", "b", "c"], kind="pronoun-ranking")
        >>> [round(value, 2) for value in found.targets["nurse"]], found.overall.score
        ([2.0, -0.48, 4.48], 0.5)
        """
        if not np.isfinite(scores).all():
            bad = names[int(np.argwhere(~np.isfinite(scores))[0, 1])]
            raise InputError(f'"{model}": its score for "{bad}" is no number; its weights are broken')
        mean = scores.mean(0)
        count, width = mean.shape
        rows = Clusters.of(np.arange(width)[None, :])
        found = {
            name: _score(scores[:, at].mean(1), (mean[at] - mean[at].mean()) / width, rows)
            for at, name in enumerate(names)
        }
        cells = np.indices((count, width)).reshape(2, -1)
        influence = ((mean - mean.mean()) / mean.size).reshape(-1)
        reliability = split_half(mean, seed=seed)
        said = [*notes, *([reliability.note] if reliability.note else [])]
        if width < 2:
            said.append("no intervals: one template says nothing of others")
        return cls(
            kind,
            model,
            axis,
            upstream,
            len(scores),
            unit,
            _score(scores.mean((1, 2)), influence, Clusters.of(cells)),
            found,
            tuple(templates),
            {name: tuple(map(float, mean[at])) for at, name in enumerate(names)},
            reliability,
            tuple(said),
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``upstream.json``: numbers that are none become None."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "model": self.model,
            "axis": self.axis,
            "upstream": self.upstream,
            "seeds": self.seeds,
            "unit": self.unit,
            "overall": _written(self.overall),
            "reliability": {
                "value": _number(self.reliability.value),
                "low": _number(self.reliability.low),
                "high": _number(self.reliability.high),
                "splits": self.reliability.splits,
                "note": self.reliability.note,
            },
            "templates": list(self.templates),
            "targets": [
                {"target": name, **_written(found), "per_template": [_number(v) for v in self.per_template[name]]}
                for name, found in self.targets.items()
            ],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> UpstreamBias:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            It is nothing that `to_dict` wrote.
        """
        if content.get("schema") != SCHEMA:
            raise InputError(f'upstream: the schema is "{content.get("schema")}", and only {SCHEMA} can be read')
        try:
            entries = {str(entry["target"]): entry for entry in content["targets"]}
            about = content["reliability"]
            return cls(
                str(content["kind"]),
                str(content["model"]),
                str(content["axis"]),
                str(content["upstream"]),
                int(content["seeds"]),
                str(content["unit"]),
                _read(content["overall"]),
                {name: _read(entry) for name, entry in entries.items()},
                tuple(content["templates"]),
                {name: tuple(map(_value, entry["per_template"])) for name, entry in entries.items()},
                Reliability(
                    _value(about["value"]),
                    _value(about["low"]),
                    _value(about["high"]),
                    int(about["splits"]),
                    str(about["note"]),
                ),
                tuple(content["notes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"upstream: this is no measured upstream bias ({error!r}); measure it again") from None

    def save(self, folder: str | Path) -> Path:
        """Write ``upstream.json`` into a folder; returns its path."""
        from ...data.files import write_json

        path = Path(folder) / FILE
        write_json(path, self.to_dict())
        return path

    def to_frame(self) -> pd.DataFrame:
        """One row a target and template: target, template, value, and the target's score, low, high."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"target": name, "template": template, "value": value, **found._asdict()}
                for name, found in self.targets.items()
                for template, value in zip(self.templates, self.per_template[name], strict=True)
            ]
        )


def _score(per_seed: Floats, influence: Floats, clusters: Clusters) -> Score:
    found = t_interval(per_seed, influence, clusters, level=LEVEL)
    if clusters.n < 2:
        return Score(found.estimate, math.nan, math.nan)
    return Score(found.estimate, found.low, found.high)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _value(value: Any) -> float:
    return math.nan if value is None else float(value)


def _written(found: Score) -> dict[str, float | None]:
    return {key: _number(value) for key, value in found._asdict().items()}


def _read(entry: Mapping[str, Any]) -> Score:
    return Score(*(_value(entry[key]) for key in ("score", "low", "high")))
