"""Reads of customers, and which of their devices they use."""

import asyncio
from typing import Any, NamedTuple

from contracts.customers import Customer, unpack_customer
from contracts.logins import login_of
from contracts.visitor import Visitor
from readers.reader import Reader
from readers.unreadable import UNREADABLE
from readers.visitors import read_visitor


class Found(NamedTuple):
    """A visitor and their id; `customer_id` is who is logged in there, None for nobody."""

    visitor_id: str
    customer_id: str | None
    visitor: Visitor


async def read_customer(reader: Reader, customer_id: str) -> Customer | None:
    """What is kept of a customer; None for one Redis does not know, or whose record cannot be read."""
    blob: Any = await reader.ask(b"GET", reader.keys.customer(customer_id))
    if blob is None:
        return None
    try:
        return unpack_customer(blob)
    except Exception as exc:  # the boundary: whatever the bytes are, they are none of ours
        UNREADABLE.note("the record of a customer", exc)
        return None


async def find_visitor(reader: Reader, user_id: str) -> Found | None:
    """The visitor of this id; of a customer, the device that was used last of all that are linked.

    A device of which the customer has logged out is theirs until somebody uses it again.
    """
    own, customer = await asyncio.gather(read_visitor(reader, user_id), read_customer(reader, user_id))
    found = [] if own is None else [_found(user_id, own)]
    if customer is not None and customer.devices:
        ids = [device.visitor_id for device in customer.devices if device.visitor_id != user_id]
        until_ms = {device.visitor_id: device.until_ms for device in customer.devices}
        visitors = await asyncio.gather(*[read_visitor(reader, id_) for id_ in ids])
        for id_, visitor in zip(ids, visitors, strict=True):
            if visitor is not None and not 0 < until_ms[id_] < visitor.head.last_ms:
                found.append(_found(id_, visitor))
    return max(found, key=lambda one: one.visitor.head.last_ms, default=None)


def _found(visitor_id: str, visitor: Visitor) -> Found:
    return Found(visitor_id, login_of(visitor).customer_id or None, visitor)
