"""Numbers as shops send them: JSON numbers or finite decimal strings, and nothing else."""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

MAX_MAJOR = 1_000_000_000
"""Highest price, in major units of its currency."""
MAX_QUANTITY = 1_000_000
MAX_STOCK = 999_999_999
MAX_SUM_MINOR = 2**53
"""Sums of money stay here: Lua and JSON are exact up to it, and absurd amounts must not end a worker."""

_HUGE = 1e300  # so that scaling to minor units stays finite

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,9}(\.0{1,6})?", re.ASCII)


class Breach(ValueError):  # always turned into InvalidEvent by the caller, who knows the field
    """A value that breaks `rule`; `detail` says what was expected and the kind that came."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


def parse_price_minor(value: object, minor_digits: int) -> int:
    """A price in minor units, from a JSON number or a decimal string such as `"19.99"`.

    Sub-minor digits are rounded to the nearest unit (a shop's 0.1 + 0.2 is 30 cents). Raises `Breach` for
    NaN, infinity, booleans, negative or absurd prices, and strings that are not plain decimals.
    """
    scale: int = 10**minor_digits
    if type(value) is str:
        minor = _string_minor(value, minor_digits)
    elif type(value) is float:
        if not -_HUGE < value < _HUGE:  # false for NaN too
            raise Breach("not_finite", "must be a finite number")
        if value < 0:  # before rounding: -0.001 is negative too
            raise Breach("negative", "must not be negative")
        minor = round(value * scale)
    elif type(value) is int:
        minor = value * scale
    else:
        raise Breach("not_number", f"must be a number or a decimal string, got {_name(type(value))}")
    if minor < 0:
        raise Breach("negative", "must not be negative")
    if minor > MAX_MAJOR * scale:
        raise Breach("too_large", f"must be at most {MAX_MAJOR}")
    return minor


def is_negative(value: object) -> bool:
    """Whether it is a number below zero, as one or as a decimal string."""
    if type(value) is str:
        return value[:1] == "-" and _DECIMAL.fullmatch(value[1:]) is not None
    return type(value) in (int, float) and value < 0  # type: ignore[operator]  # one of these two


def parse_quantity(value: object) -> int:
    """A whole number of units, 1 to `MAX_QUANTITY`; `2`, `2.0` and `"2"` are two. Raises `Breach`."""
    units = _parse_whole(value)
    if units < 1:
        raise Breach("not_positive", "must be at least 1")
    if units > MAX_QUANTITY:
        raise Breach("too_large", f"must be at most {MAX_QUANTITY}")
    return units


def parse_stock(value: object) -> int:
    """A whole number of units on the shelf, 0 to `MAX_STOCK`; raises `Breach`."""
    if is_negative(value):
        raise Breach("negative", "must not be negative")
    units = _parse_whole(value)
    if units > MAX_STOCK:
        raise Breach("too_large", f"must be at most {MAX_STOCK}")
    return units


def _parse_whole(value: object) -> int:
    if type(value) is float:
        if not -_HUGE < value < _HUGE:
            raise Breach("not_finite", "must be a finite number")
        if value != int(value):
            raise Breach("not_integer", "must be a whole number")
        units = int(value)
    elif type(value) is str:
        if not _INTEGER.fullmatch(value):
            raise Breach("not_integer", "must be a whole number")
        units = int(value.partition(".")[0])
    elif type(value) is int:
        units = value
    else:
        raise Breach("not_number", f"must be a whole number, got {_name(type(value))}")
    return units


@lru_cache(maxsize=16_384)  # a shop has some thousand prices, and every event names one
def _string_minor(text: str, minor_digits: int) -> int:
    whole, _, part = text.partition(".")
    if len(part) == minor_digits and 0 < len(whole) <= 12:  # the usual case, three times as fast
        digits = whole + part
        if digits.isascii() and digits.isdigit():
            return int(digits)
    if text[:1] == "-" and _DECIMAL.fullmatch(text[1:]):
        raise Breach("negative", "must not be negative")
    if not _DECIMAL.fullmatch(text):
        not_finite = text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
        rule = "not_finite" if not_finite else "not_number"
        raise Breach(rule, "must be a finite decimal such as 19.99")
    if len(part) <= minor_digits:
        return int(whole + part.ljust(minor_digits, "0"))
    return int(Decimal(text).scaleb(minor_digits).to_integral_value(ROUND_HALF_EVEN))


def _name(kind: type) -> str:
    return {dict: "object", list: "array", bool: "boolean", type(None): "null"}.get(kind, kind.__name__)
