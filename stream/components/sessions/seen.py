"""What a partition's events told of products: the newest of each, bounded, written only where it changes."""

import logging
from collections.abc import Iterator, Mapping
from heapq import nsmallest
from typing import NamedTuple

import msgpack

from contracts.key_families import SEEN_PRODUCTS
from contracts.seen_products import SeenProduct, pack_seen, unpack_seen
from stream.components.sessions.due import Seen, pack_facts
from stream.state.writes import RemoveFromHash, SetInHash, Write

log = logging.getLogger(__name__)

MOST = 20_000
"""Products that a partition keeps; it drops those that changed longest ago once there are a quarter more."""
TTL_S = 90 * 86_400
SEEN_BYTES = 260
"""About what one takes in memory."""


class SeenChange(NamedTuple):
    """Products as they are now, and those that are dropped."""

    seen: dict[str, Seen]
    dropped: frozenset[str]

    def writes(self) -> Iterator[Write]:
        """What it writes."""
        if self.seen:
            texts = {id_: pack_seen(product_of(seen)) for id_, seen in self.seen.items()}
            yield SetInHash(SEEN_PRODUCTS, texts, TTL_S)
        if self.dropped:
            yield RemoveFromHash(SEEN_PRODUCTS, self.dropped)


def load_seen(texts: Mapping[str, str]) -> dict[str, Seen]:
    """Products by id; what cannot be read is left out, and told anew by the next event."""
    found = {}
    for id_, text in texts.items():
        try:
            category, brand, price_minor, currency = unpack_seen(text)
        except ValueError as exc:
            log.warning("what events told of a product cannot be read and begins anew: %s", exc)
            continue
        found[id_] = Seen(0, pack_facts(price_minor, currency, category, brand))
    return found


def change_seen(known: Mapping[str, Seen], newer: Mapping[str, Seen], most: int = MOST) -> SeenChange:
    """What newer actions make of products: what they do not tell stays."""
    changed = {}
    for id_, seen in newer.items():
        before = known.get(id_)
        after = seen if before is None else Seen(seen.at_ms, _joined(before.facts, seen.facts))
        if before is None or after.facts != before.facts:
            changed[id_] = after
    dropped: frozenset[str] = frozenset()
    n_products = len(known.keys() | changed.keys())
    if n_products > most + most // 4:
        products = {**known, **changed}
        dropped = frozenset(
            nsmallest(n_products - most, products, key=lambda id_: (products[id_].at_ms, id_))
        )
    return SeenChange({id_: seen for id_, seen in changed.items() if id_ not in dropped}, dropped)


def product_of(seen: Seen) -> SeenProduct:
    """A product as it is stored."""
    price_minor, currency, category, brand = _facts_of(seen.facts)
    return SeenProduct(category, brand, price_minor, currency if price_minor is not None else None)


def _joined(before: bytes, after: bytes) -> bytes:
    old, new = _facts_of(before), _facts_of(after)
    price_minor, currency = old[:2] if new[0] is None else new[:2]
    return pack_facts(price_minor, currency, new[2] or old[2], new[3] or old[3])


def _facts_of(facts: bytes) -> tuple[int | None, str | None, str | None, str | None]:
    found: tuple[int | None, str | None, str | None, str | None] = msgpack.unpackb(
        b"\x94" + facts, use_list=False
    )
    return found
