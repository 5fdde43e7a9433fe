"""The fields of an event that the contract does not know: how many, how deep, and what must not be kept."""

import re
from math import isfinite
from typing import Any

from api.resources.events.ip_addresses import truncate_address
from contracts.events import InvalidEvent

MAX_FIELDS = 100
"""Members of all objects in an event together, its own included."""
MAX_DEPTH = 8
"""Levels of objects and arrays, the event included."""
ADDRESS_FIELDS = frozenset(("ip", "ip_address", "ipAddress", "client_ip"))

# Both begin only where a word or number begins, or a long text would be tried from every character of it.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_CARD = re.compile(r"(?<![0-9])(?:3[47][0-9]{2}|[4-6][0-9]{3}|2[2-7][0-9]{2})(?:[ -]?[0-9]){11,12}(?![0-9])")
_CARD_INTS = range(10**14, 10**16)


class Cleaner:
    """Cleans the free fields of one event, which has `n_own` others; `redacted` counts what it replaced."""

    def __init__(self, n_own: int) -> None:
        self.redacted = 0
        self._left = MAX_FIELDS - n_own

    def clean(self, fields: dict[str, Any], depth: int = 2) -> dict[str, Any]:
        """The same fields, with addresses truncated, e-mail addresses and card numbers replaced.

        `depth` is the level of their values. Raises `InvalidEvent` for too many or too deep ones, and for
        numbers that are not finite.
        """
        self._left -= len(fields)
        if self._left < 0:
            raise InvalidEvent("event.too_many_fields", f"must have at most {MAX_FIELDS} fields in all")
        for name, value in fields.items():
            kind = type(value)
            if name in ADDRESS_FIELDS:
                fields[name] = truncate_address(value) if kind is str else None
            elif kind is str:
                if len(value) > 5:
                    fields[name] = self._redact(value)
            elif kind is dict or kind is list:
                fields[name] = self._clean_nested(value, depth)
            elif kind is int and value in _CARD_INTS:
                fields[name] = self._redact_int(value)
            elif kind is float:
                _check_finite(value)
        return fields

    def _clean_nested(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise InvalidEvent(
                "event.too_deep", f"must have at most {MAX_DEPTH} levels of nesting of nesting"
            )
        if type(value) is dict:
            return self.clean(value, depth + 1)
        for n, item in enumerate(value):
            kind = type(item)
            if kind is str:
                value[n] = self._redact(item)
            elif kind is dict or kind is list:
                value[n] = self._clean_nested(item, depth + 1)
            elif kind is int and item in _CARD_INTS:
                value[n] = self._redact_int(item)
            elif kind is float:
                _check_finite(item)
        return value

    def _redact(self, text: str) -> str:
        if "@" in text:
            text, count = _EMAIL.subn("[email]", text)
            self.redacted += count
        if len(text) >= 15:
            text = _CARD.sub(self._redact_match, text)
        return text

    def _redact_match(self, match: re.Match[str]) -> str:
        if not _is_card(match[0]):
            return match[0]
        self.redacted += 1
        return "[card]"

    def _redact_int(self, number: int) -> int | str:
        if not (_CARD.fullmatch(str(number)) and _is_card(str(number))):
            return number
        self.redacted += 1
        return "[card]"


def _check_finite(number: float) -> None:
    if not isfinite(number):
        raise InvalidEvent("event.not_finite", "its numbers must be finite: no NaN, and below 1e308")


def _is_card(text: str) -> bool:
    """Whether the digits in the text satisfy Luhn's checksum."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
