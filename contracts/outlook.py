"""What is expected of a visitor: the newest score, the book of alerts and the predictions not yet judged."""

from typing import Any, NamedTuple

from contracts.alert_book import NEW_BOOK, AlertBook, pack_book, unpack_book
from contracts.scores import (
    ALL_JUDGED,
    Score,
    Unjudged,
    pack_score,
    pack_unjudged,
    unpack_score,
    unpack_unjudged,
)


class Outlook(NamedTuple):
    """`score` is None until a model has scored the visitor; it may be of an earlier session or action."""

    score: Score | None = None
    book: AlertBook = NEW_BOOK
    unjudged: Unjudged = ALL_JUDGED


BLANK = Outlook()


def pack_outlook(outlook: Outlook) -> tuple[Any, ...]:
    """The outlook as plain values for msgpack; empty if nothing was ever expected."""
    if outlook is BLANK or outlook == BLANK:
        return ()
    score, book, unjudged = outlook
    return None if score is None else pack_score(score), pack_book(book), pack_unjudged(unjudged)


def unpack_outlook(fields: tuple[Any, ...]) -> Outlook:
    """The outlook in what `pack_outlook` gave."""
    if not fields:
        return BLANK
    score, book, unjudged = fields
    return Outlook(
        None if score is None else unpack_score(score), unpack_book(book), unpack_unjudged(unjudged)
    )
