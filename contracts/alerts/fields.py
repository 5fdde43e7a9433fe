"""Checks of the fields of an alert's JSON, each with the code of the rule it enforces."""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from contracts.currencies import MINOR_DIGITS
from contracts.fields import kind_of

Check = Callable[[str, Any], Any]
"""Takes a field's name and value and returns what it means; raises `InvalidAlert`."""


class InvalidAlert(ValueError):  # named as InvalidEvent is
    """Bytes that are not an alert; `code` is `field.rule` and stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def text(name: str, value: object) -> str:
    """A string that is not empty."""
    if type(value) is not str or not value:
        rule = "missing" if value is None else "not_text"
        raise InvalidAlert(f"{name}.{rule}", f"{name} must be a non-empty string, got {kind_of(value)}")
    return value


def count(name: str, value: object) -> int:
    """An integer from 0 up, also for times."""
    if type(value) is not int or value < 0:
        rule = "missing" if value is None else "not_count"
        raise InvalidAlert(f"{name}.{rule}", f"{name} must be an integer of at least 0, got {kind_of(value)}")
    return value


def number(name: str, value: object) -> float:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidAlert(f"{name}.not_number", f"{name} must be a finite number, got {kind_of(value)}")
    return float(value)


def probability(name: str, value: object) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidAlert(
            f"{name}.not_probability", f"{name} must be a number from 0 to 1, got {kind_of(value)}"
        )
    return float(value)


def flag(name: str, value: object) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise InvalidAlert(f"{name}.not_boolean", f"{name} must be true or false, got {kind_of(value)}")
    return value


def currency(name: str, value: object) -> str:
    """An ISO 4217 code."""
    if type(value) is not str or value not in MINOR_DIGITS:
        raise InvalidAlert(f"{name}.unknown", f"{name} must be an ISO 4217 code, got {kind_of(value)}")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """A list of strings that are not empty."""
    if type(value) is not list:
        raise InvalidAlert(f"{name}.not_list", f"{name} must be a list of strings, got {kind_of(value)}")
    return tuple(text(name, item) for item in value)


def fields_of(name: str, value: object) -> dict[str, Any]:
    """An object."""
    if type(value) is not dict:
        raise InvalidAlert(f"{name}.not_object", f"{name} must be an object, got {kind_of(value)}")
    return value


def one_of(members: type[StrEnum]) -> Check:
    """A check for the value of a member."""

    def check(name: str, value: object) -> StrEnum:
        try:
            return members(text(name, value))
        except InvalidAlert:
            raise
        except ValueError:
            known = ", ".join(members)
            raise InvalidAlert(f"{name}.unknown", f"{name} must be one of {known}") from None

    return check


def or_null(check: Check) -> Check:
    """A check that lets null through as None."""
    return lambda name, value: None if value is None else check(name, value)
