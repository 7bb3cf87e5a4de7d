"""The standard word sets and the tests made of them; the lists themselves are in ``word_sets.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ...data.errors import InputError, suggest
from .embedding_tests import EmbeddingTest, ect, mac, ripa, rnd, rnsb, weat
from .vectors import Vectors

__all__ = ["published", "standard_tests", "word_set", "words_of_tests"]

_BUILTIN = Path(__file__).parent / "word_sets.toml"
_ROLES: dict[str, tuple[str, ...]] = {
    "weat": ("first", "second", "a", "b"),
    "rnd": ("first", "second", "attributes"),
    "ripa": ("first", "second", "attributes"),
    "ect": ("first", "second", "attributes"),
    "mac": (),
    "rnsb": (),
}


def standard_tests(
    vectors: Vectors | Sequence[Vectors], *, measures: Sequence[str] | None = None, file: str | Path | None = None,
    seed: int = 0,
) -> list[EmbeddingTest]:  # fmt: skip
    """Make all tests of a file of word sets.

    Parameters
    ----------
    vectors : Vectors or sequence of Vectors
        Given vectors, or models trained on resamples of the audited text.
    measures : sequence of str, optional
        Only these: weat, rnd, rnsb, ripa, mac, ect.
    file : str or Path, optional
        TOML like the built-in one: ``[sets.NAME] words = "..." source = "..."`` and ``[[test]] measure, name, sets``
        (of MAC and RNSB ``targets`` and ``attributes``). By default WEAT 1 to 10 (Caliskan et al. 2017) and one or two
        of each other measure.
    seed : int
        Of permutations and redraws.

    Returns
    -------
    list of EmbeddingTest
        In the order of the file; those whose words have no vectors are unclear.

    Raises
    ------
    InputError
        The file cannot be read, or something is wrong in it: names the key.

    Examples
    --------
    >>> vectors = Vectors.of(["math", "algebra", "art", "dance"], [[1, 2], [2, 1], [3, 1], [1, 1]])
    >>> found = standard_tests(vectors, measures=["weat"])[6]
    >>> found.name, found.enough, found.why
    ('WEAT 7: math and arts, male and female terms', False, '0 of 8 words of "male_terms" have a vector; 2 are needed')
    """
    chosen = tuple(_ROLES) if measures is None else tuple(measures)
    for measure in chosen:
        if measure not in _ROLES:
            raise InputError(f'there is no test "{measure}".{suggest(measure, _ROLES)} Tests: {", ".join(_ROLES)}.')
    sets, tests = _builtin() if file is None else _read(Path(file))
    return [_made(test, sets, vectors, seed) for test in tests if test["measure"] in chosen]


def word_set(name: str) -> tuple[str, ...]:
    """The words of a built-in set.

    Examples
    --------
    >>> word_set("career")[:2]
    ('executive', 'management')
    """
    sets = _builtin()[0]
    if name not in sets:
        raise InputError(f'there is no word set "{name}".{suggest(name, sets)} Sets: {", ".join(sets)}.')
    return sets[name]


def words_of_tests(file: str | Path | None = None) -> frozenset[str]:
    """All words of a file of word sets: what vectors have to be loaded for.

    Examples
    --------
    >>> {"nurse", "Shakespeare"} <= words_of_tests()
    True
    """
    sets = (_builtin() if file is None else _read(Path(file)))[0]
    return frozenset(word for words in sets.values() for word in words)


def published() -> dict[str, float]:
    """Effect sizes that Caliskan et al. 2017 report, on GloVe 840B, by name of test."""
    return {test["name"]: float(test["published"]) for test in _builtin()[1] if "published" in test}


def _made(
    test: Mapping[str, Any], sets: Mapping[str, tuple[str, ...]], vectors: Vectors | Sequence[Vectors], seed: int
) -> EmbeddingTest:
    name = str(test["name"])
    if test["measure"] == "mac":
        targets, attributes = ({key: sets[key] for key in test[role]} for role in ("targets", "attributes"))
        return mac(vectors, targets, attributes, name=name, seed=seed)
    if test["measure"] == "rnsb":
        words = tuple(dict.fromkeys(word for key in test["targets"] for word in sets[key]))
        positive, negative = test["attributes"]
        names = (" and ".join(test["targets"]), positive, negative)
        return rnsb(vectors, words, sets[positive], sets[negative], name=name, sets=names, seed=seed)
    of: dict[str, Callable[..., EmbeddingTest]] = {"weat": weat, "rnd": rnd, "ripa": ripa, "ect": ect}
    return of[test["measure"]](
        vectors, *(sets[key] for key in test["sets"]), name=name, sets=tuple(test["sets"]), seed=seed
    )


@cache
def _builtin() -> tuple[dict[str, tuple[str, ...]], list[dict[str, Any]]]:
    return _read(_BUILTIN)


def _read(path: Path) -> tuple[dict[str, tuple[str, ...]], list[dict[str, Any]]]:
    """Sets and tests of a file, checked."""
    where = f'word sets "{path.name}"'
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f'{where}: cannot read "{path}": {error.strerror or error}') from None
    except UnicodeDecodeError:
        raise InputError(f"{where} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where} is not valid TOML: {error}") from None
    tables = content.get("sets")
    tests = content.get("test")
    if not isinstance(tables, dict) or not isinstance(tests, list) or not tables or not tests:
        raise InputError(f"{where} needs [sets.NAME] tables and [[test]] tables")
    sets: dict[str, tuple[str, ...]] = {}
    for name, table in tables.items():
        words = table.get("words") if isinstance(table, dict) else None
        sets[name] = tuple(words.split()) if isinstance(words, str) else ()
        if len(sets[name]) < 2:
            raise InputError(f'{where}: sets.{name}.words is a string of at least two words: "career salary office"')
    for number, test in enumerate(tests, 1):
        _check(test, sets, f"{where}: test {number}")
    return sets, tests


def _check(test: Any, sets: Mapping[str, tuple[str, ...]], where: str) -> None:
    if not isinstance(test, dict) or not isinstance(test.get("name"), str):
        raise InputError(f'{where} needs a name: name = "..."')
    measure = test.get("measure")
    if measure not in _ROLES:
        raise InputError(f'{where}: measure "{measure}" is none of {", ".join(_ROLES)}.{suggest(str(measure), _ROLES)}')
    roles = {"sets": len(_ROLES[measure])} if _ROLES[measure] else {"targets": 0, "attributes": 2 * (measure == "rnsb")}
    for role, count in roles.items():
        names = test.get(role)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: {role} is a list of names of sets")
        for name in names:
            if name not in sets:
                raise InputError(f'{where}: there is no set "{name}".{suggest(name, sets)}')
        if len(set(names)) != len(names) or (count and len(names) != count):
            raise InputError(f"{where}: {role} names {count or 'some'} different sets; it has {len(names)}")
