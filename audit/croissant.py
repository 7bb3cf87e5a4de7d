"""Croissant metadata (JSON-LD) of a dataset: the fields for responsible AI that an audit can fill.

Of MLCommons' Croissant 1.0 or 1.1 and its RAI vocabulary 1.0. What people wrote stays: entries made here begin with
``[evenset``, and only those are replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.errors import InputError
from ..data.files import write_text
from .card_words import Told

RAI = "http://mlcommons.org/croissant/RAI/"
CROISSANT = "http://mlcommons.org/croissant/"
VERSIONS = (f"{CROISSANT}1.0", f"{CROISSANT}1.1")
RAI_VERSION = f"{RAI}1.0"
_OURS = re.compile(r"\[evenset [^\]]*\] ")
_MOST = 60
_FORMS = {
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".jsonl": "application/jsonlines",
    ".parquet": "application/x-parquet", ".arrow": "application/vnd.apache.arrow.file", ".gz": "application/gzip",
    ".zst": "application/zstd",
}  # fmt: skip

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": CROISSANT,
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": RAI,
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of Croissant 1.1, as its specification gives it."""


def rai_fields(audit: Mapping[str, Any], curation: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
    """What an audit knows of the RAI vocabulary, in sentences.

    Parameters
    ----------
    audit, curation : mapping
        As in `card.section`.

    Returns
    -------
    dict of str to list of str
        ``dataBiases``, ``dataLimitations``, ``dataSocialImpact`` (one), and where there is something to say
        ``personalSensitiveInformation`` and ``dataPreprocessingProtocol``. How often an item was annotated, by whom and
        on which platform an audit cannot know: such fields are left as they are.
    """
    told = Told(audit, curation)
    beyond, speaker = told.beyond(), told.speaker
    biases = [f"{one.status}: {speaker.sentence(one)}." for one in beyond[:_MOST]]
    if len(beyond) > _MOST:
        biases.append(f"{len(beyond) - _MOST} more findings are beyond the limits; they are in audit.json.")
    if not beyond:
        biases.append(told.conclusion())
    biases += [f"How much labels depend on {axis} (Cramér's V): {told.score(axis)}." for axis in audit["scores"]]
    biases += [
        f"Words that go with {group} on {axis} without naming it: {', '.join(words)}."
        for (axis, group), words in told.proxies().items()
    ]
    found = {"dataBiases": biases, "dataLimitations": told.limits(), "dataSocialImpact": [told.conclusion()]}
    seen = (audit.get("coverage") or {}).get("lexicons") or {}
    named = [f"{one['rows']:,} of {told.rows:,} rows have words of {name}" for name, one in seen.items() if one["rows"]]
    if named:
        found["personalSensitiveInformation"] = [f"Texts name social groups: {'; '.join(named)}."]
    if told.curation is not None:
        found["dataPreprocessingProtocol"] = told.done()
    return {name: [_plain(f"[evenset {__version__}] {said}") for said in values] for name, values in found.items()}


def _plain(text: str) -> str:
    """Without characters that steer a terminal or turn the direction of writing."""
    return "".join(c if c.isprintable() else f"(U+{ord(c):04X})" for c in " ".join(text.split()))


def croissant(
    audit: Mapping[str, Any],
    curation: Mapping[str, Any] | None = None,
    *,
    existing: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Croissant metadata with the RAI fields of an audit.

    Parameters
    ----------
    audit, curation : mapping
        As in `card.section`.
    existing : mapping, optional
        Metadata to update: what is in it stays, its version of Croissant too, but for earlier entries of evenset.
    name : str, optional
        Of the data, where there is no metadata yet; default that of the first file.

    Raises
    ------
    InputError
        When the metadata to update are no Croissant.

    Examples
    --------
    >>> from evenset import audit, data
    >>> rows = [{"text": f"{who} ran.", "label": label} for who in ("She", "He") for label in (0, 1)] * 20
    >>> made = croissant(audit.run(data.open(rows), axes=["pronouns"], measures=["counts", "association"]).to_dict(), name="runners")
    >>> made["name"], made["conformsTo"][0], len(made["rai:dataBiases"]) > 0
    ('runners', 'http://mlcommons.org/croissant/1.1', True)
    """
    content = _new(Told(audit, curation), name) if existing is None else _checked(existing)
    given = content["conformsTo"]
    conforms = [given] if isinstance(given, str) else list(given)
    content["conformsTo"] = conforms if RAI_VERSION in conforms else [*conforms, RAI_VERSION]
    prefix = next((key for key, value in content["@context"].items() if value == RAI), None)
    if prefix is None:
        prefix = "rai"
        content["@context"] = {**content["@context"], prefix: RAI}
    for field, said in rai_fields(audit, curation).items():
        usual = f"{prefix}:{field}"
        key = next((one for one in (usual, f"{RAI}{field}", field) if one in content), usual)
        content[key] = _joined(content.get(key), said, one=field == "dataSocialImpact")
    return content


def _joined(old: Any, said: list[str], *, one: bool) -> Any:
    """What people wrote, then what is said now; earlier entries of evenset go."""
    before = [] if old is None else list(old) if isinstance(old, list) else [old]
    if one:  # the vocabulary has room for one text only
        texts = [_OURS.split(text)[0].rstrip() if isinstance(text, str) else text for text in before]
        kept = [text for text in texts if text != ""]
        if kept and not isinstance(kept[0], str):
            return old  # tagged with a language: not ours to rewrite
        return "\n\n".join([*kept, *said])
    return [*(text for text in before if not (isinstance(text, str) and _OURS.match(text))), *said]


def _new(told: Told, name: str | None) -> dict[str, Any]:
    about = told.audit["dataset"]
    made: dict[str, Any] = {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "name": name or re.sub(r"[^\w .-]", "-", Path(told.name).stem) or "dataset",
        "description": f"{told.rows:,} labelled texts.",
        "conformsTo": [VERSIONS[-1]],
    }
    paths = about.get("paths") or []
    suffix = Path(str(paths[0])).suffix.lower() if len(paths) == 1 else ""
    if about.get("sha256") and suffix in _FORMS and about.get("form") != "hf":  # the hash of several files is of none
        made["distribution"] = [
            {
                "@type": "cr:FileObject", "@id": str(paths[0]), "name": str(paths[0]), "contentUrl": str(paths[0]),
                "encodingFormat": _FORMS[suffix], "sha256": about["sha256"],
            }
        ]  # fmt: skip
    return made


def _checked(existing: Mapping[str, Any]) -> dict[str, Any]:
    context = existing.get("@context")
    if not isinstance(context, Mapping):
        raise InputError('the metadata have no "@context" object, so they are no Croissant; start a new file')
    conforms = existing.get("conformsTo")
    named = [conforms] if isinstance(conforms, str) else conforms if isinstance(conforms, list) else []
    if not set(named) & set(VERSIONS):
        raise InputError(
            f"the metadata conform to {', '.join(map(str, named)) or 'nothing'}, and evenset writes into "
            f"{' or '.join(VERSIONS)}; bring them up to date first"
        )
    return dict(existing)


def write_croissant(
    path: str | Path,
    audit: Mapping[str, Any],
    curation: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> Path:
    """Create Croissant metadata, or update those that are there; returns the file.

    Raises
    ------
    InputError
        When what is there cannot be read or is no Croissant.
    """
    place = Path(path)
    existing: Any = None
    if place.exists():
        try:
            existing = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f'"{place}" cannot be read as Croissant metadata: {error}') from None
        if not isinstance(existing, dict):
            raise InputError(f'"{place}" holds no JSON object, so no Croissant metadata')
    try:
        made = croissant(audit, curation, existing=existing, name=name)
    except InputError as error:
        raise InputError(f'"{place}": {error}') from None
    write_text(place, json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    return place
