"""What makes a line of an order the same line: order, product, and which line of that product it is."""

from contracts.events import Event
from contracts.visitor import digest_of

SECOND_PART = "#2"
"""Ends `line` where an amount does not divide by its pieces and a line became two (`contracts.orders`)."""


def line_of(event: Event) -> str:
    """Which of its order's lines of one product this is: `line` of the event, the first if it has none."""
    line = event.extra.get("line") if event.extra else None
    return str(line) if type(line) in (str, int) else "1"


def line_key(order_id: str | None, product_id: str, line: str) -> str:
    """What makes a line of an order the same line, whoever sends it how often and under which id."""
    return f"{order_id}\n{product_id}\n{line}"  # ids hold no line breaks


def event_key(event: Event) -> str:
    """What distinguishes an event from all others, in hexadecimal digits: its id alone is of one visitor."""
    return digest_of(f"{event.user_id}\n{event.event_id}").hex()


def first_part(line: str) -> str | None:
    """The line whose second part this is, if it is one: see `split_items` for amounts that do not divide."""
    return line.removesuffix(SECOND_PART) if line.endswith(SECOND_PART) else None
