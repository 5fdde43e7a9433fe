"""Reads of customers, and which of their devices they use."""

import asyncio
from typing import NamedTuple

from contracts.customers import Customer, check_customer, unpack_customer
from contracts.logins import login_of
from contracts.visitor import Visitor
from readers.blobs import Wanted, read_blob, read_two
from readers.reader import Reader
from readers.visitors import read_visitor, wanted_visitor


class Found(NamedTuple):
    """A visitor and their id; `customer_id` is who is logged in there, None for nobody."""

    visitor_id: str
    customer_id: str | None
    visitor: Visitor


async def read_customer(reader: Reader, customer_id: str) -> Customer | None:
    """What is kept of a customer; None for one Redis does not know, or whose record cannot be read.

    Raises `LaterFormat` for one that a later version wrote, and `redis.RedisError`.
    """
    return await read_blob(reader, *_wanted_customer(reader, customer_id))


def _wanted_customer(reader: Reader, customer_id: str) -> Wanted[Customer]:
    return Wanted(reader.keys.customer(customer_id), "the record of a customer", _customer_in)


def _customer_in(blob: bytes) -> Customer:
    customer = unpack_customer(blob)
    check_customer(customer)
    return customer


async def find_visitor(reader: Reader, user_id: str) -> Found | None:
    """The visitor of this id; of a customer, the device that was used last of all that are linked.

    A device of which the customer has logged out is theirs until somebody uses it again.
    """
    own, customer = await read_two(reader, wanted_visitor(reader, user_id), _wanted_customer(reader, user_id))
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
