"""An attribution as JSON and back, so that a finished run can be looked at again without computing anything."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """As JSON takes it: NaN and infinity are null, records and mappings objects, tuples lists.

    Examples
    --------
    >>> plain({"a": (1.0, float("nan"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def read(kind: Any, value: Any) -> Any:
    """What `plain` wrote, as the type that it was made from.

    Raises
    ------
    TypeError, KeyError
        It is nothing that `plain` wrote of this type.

    Examples
    --------
    >>> read(tuple[float, ...], [1.0, None])
    (1.0, nan)
    """
    if kind is float:
        return math.nan if value is None else float(value)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else read(next(part for part in parts if part is not type(None)), value)
    if origin is tuple:
        return tuple(read(parts[0], part) for part in value)
    if origin is not None and isinstance(value, Mapping):
        return {key: read(parts[1], part) for key, part in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        # A field with a default may be missing: records of before had fewer.
        fields = [f for f in dataclasses.fields(kind) if f.name in value or f.default is dataclasses.MISSING]
        return kind(**{field.name: read(hints[field.name], value[field.name]) for field in fields})
    return value
