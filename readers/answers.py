"""What all answers have in common. Times are RFC 3339 in UTC; money is minor units and a decimal."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, Field

from contracts.events import format_minor
from readers.stream_time import Mode


class Answer(BaseModel, frozen=True):
    """What all answers have in common: they are built once and not changed."""


class TimedAnswer(Answer):
    """An answer about a moment of the stream."""

    as_of: datetime = Field(description="The time this answer is about")
    mode: Mode = Field(
        description="live: as_of is the current time; replay: as_of is the time of the newest event"
    )


class Money(Answer):
    """An amount in one currency; amounts of different currencies are never added."""

    currency: str
    amount_minor: int = Field(description="Minor units, such as cents")
    amount: str = Field(description="The same in major units, as a decimal")


def net_of(gross: Mapping[str, int], refunded: Mapping[str, int]) -> dict[str, int]:
    """What is left of each amount."""
    return {code: gross.get(code, 0) - refunded.get(code, 0) for code in {**gross, **refunded}}


def to_money(minor_of: Mapping[str, int]) -> list[Money]:
    """One amount per currency, in the order of the codes."""
    return [
        Money(currency=code, amount_minor=minor, amount=format_minor(minor, code))
        for code, minor in sorted(minor_of.items())
    ]
