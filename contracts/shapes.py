"""Whether a value read from elsewhere has the shape that its type's annotations say, all the way down."""

import types
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any, Union, get_args, get_origin, get_type_hints

LARGEST = 2**53
"""No number of ours is larger; one that is cannot be added to and written again."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: no time of ours, in a field whose name ends in `_ms`, is further from 1970."""

_NUMBERS = (int, float)


def fits(value: object, kind: Any) -> bool:
    """Whether `value` is of `kind`: a class, a named tuple, `tuple`, `dict`, `Mapping` or a union of such."""
    if kind is Any:
        return True
    if _is_union(kind):
        return any(fits(value, one) for one in get_args(kind))
    origin = get_origin(kind)
    if origin is tuple:
        return isinstance(value, tuple) and _fits_tuple(value, get_args(kind))
    if origin in (dict, Mapping):
        of_key, of_value = get_args(kind)
        return isinstance(value, Mapping) and all(
            fits(key, of_key) and fits(one, of_value) for key, one in value.items()
        )
    if hasattr(kind, "_fields"):
        return type(value) is kind and _fits_fields(value, kind)
    return type(value) is kind and (kind not in _NUMBERS or abs(value) <= LARGEST)  # type: ignore[arg-type]


def _fits_tuple(value: tuple[Any, ...], kinds: tuple[Any, ...]) -> bool:
    if len(kinds) == 2 and kinds[1] is ...:
        return all(fits(one, kinds[0]) for one in value)
    return len(value) == len(kinds) and all(map(fits, value, kinds))


def _fits_fields(value: Any, kind: Any) -> bool:
    kinds, plain, times = _fields_of(kind)
    if not all(type(one) is int and abs(one) <= LATEST_MS for one in times(value)):
        return False
    if plain is None:
        return all(map(fits, value, kinds))
    return (*map(type, value),) in plain and all(
        abs(one) <= LARGEST for one in value if type(one) in _NUMBERS
    )


@cache
def _fields_of(kind: Any) -> tuple[Any, ...]:
    """Kinds of the fields of a named tuple; if plain, all types that they may have; its times."""
    hints = get_type_hints(kind)
    kinds = tuple([hints[name] for name in kind._fields])
    choices = [get_args(one) if _is_union(one) else (one,) for one in kinds]
    is_plain = all(type(one) is type and not hasattr(one, "_fields") for choice in choices for one in choice)
    times = [place for place, name in enumerate(kind._fields) if name.endswith("_ms") and kinds[place] is int]
    return (
        kinds,
        frozenset(product(*choices)) if is_plain else None,
        lambda value: [value[place] for place in times],
    )


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def require(value: object, kind: Any) -> None:
    """Raises `ValueError` if the value does not fit."""
    if not fits(value, kind):
        raise ValueError(f"a value has parts of other types than a {kind.__name__}")
