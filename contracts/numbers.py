"""Numbers as shops send them: JSON numbers or finite decimal strings, and nothing else."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

MAX_MAJOR = 1_000_000_000
"""Highest price, in major units of its currency."""
MAX_QUANTITY = 1_000_000

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,9}(\.0{1,6})?", re.ASCII)


class Breach(ValueError):  # noqa: N818 - always turned into InvalidEvent by the caller, who knows the field
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
    kind = type(value)
    if kind is float:
        if not -1e300 < value < 1e300:  # type: ignore[operator]  # false for NaN too
            raise Breach("not_finite", "must be a finite number")
        minor = round(value * 10**minor_digits)  # type: ignore[operator]
    elif kind is int:
        minor = value * 10**minor_digits  # type: ignore[operator]
    elif kind is str:
        minor = _string_minor(value, minor_digits)  # type: ignore[arg-type]
    else:
        raise Breach("not_number", f"must be a number or a decimal string, got {_name(kind)}")
    if minor < 0:
        raise Breach("negative", "must not be negative")
    if minor > MAX_MAJOR * 10**minor_digits:
        raise Breach("too_large", f"must be at most {MAX_MAJOR}")
    return int(minor)


def parse_quantity(value: object) -> int:
    """A whole number of units, 1 to `MAX_QUANTITY`; `2`, `2.0` and `"2"` are two. Raises `Breach`."""
    kind = type(value)
    if kind is float:
        if not -1e300 < value < 1e300:  # type: ignore[operator]
            raise Breach("not_finite", "must be a finite number")
        if value != int(value):  # type: ignore[call-overload]
            raise Breach("not_integer", "must be a whole number")
        value = int(value)  # type: ignore[call-overload]
    elif kind is str:
        if not _INTEGER.fullmatch(value):  # type: ignore[arg-type]
            raise Breach("not_integer", "must be a whole number")
        value = int(value.partition(".")[0])  # type: ignore[attr-defined]
    elif kind is not int:
        raise Breach("not_number", f"must be a whole number, got {_name(kind)}")
    if value < 1:  # type: ignore[operator]
        raise Breach("not_positive", "must be at least 1")
    if value > MAX_QUANTITY:  # type: ignore[operator]
        raise Breach("too_large", f"must be at most {MAX_QUANTITY}")
    return value  # type: ignore[return-value]


def _string_minor(text: str, minor_digits: int) -> int:
    if text[:1] == "-" and _DECIMAL.fullmatch(text[1:]):
        raise Breach("negative", "must not be negative")
    if not _DECIMAL.fullmatch(text):
        rule = "not_finite" if text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity") else "not_number"
        raise Breach(rule, "must be a finite decimal such as 19.99")
    whole, _, part = text.partition(".")
    if len(part) <= minor_digits:
        return int(whole + part.ljust(minor_digits, "0"))
    return int(Decimal(text).scaleb(minor_digits).to_integral_value(ROUND_HALF_EVEN))


def _name(kind: type) -> str:
    return {dict: "object", list: "array", bool: "boolean", type(None): "null"}.get(kind, kind.__name__)
