"""What every process knows of this extension: its keys, its topic and its kind of alert."""

from typing import NamedTuple

from contracts.alerts import AlertKindSpec, register_kind
from contracts.alerts.fields import count, text
from contracts.key_families import KeyFamily, register_family
from contracts.subjects import SubjectKind
from contracts.topics import register_input_topic, register_output_topic

INVENTORY = "inventory"
"""Topic: counts of units on the shelf, keyed by `product_id`."""
STOCK = "stock:"
"""Followed by a product's id. String: what a partition knows of its stock."""
LOWEST = "stock_lowest"
"""Sorted set: product to its units at the last count."""
BUYERS = "stock_buyers"
"""Sorted set: the visitors who bought most units."""
RECENT = "stock_recent"
"""List: the newest counts as JSON."""
WISHES = "wishes:"
"""Followed by a visitor's id. String: the products they marked as favourites."""
COVER = "stock_cover"
"""Job of that name, its snapshots and their topic: what is known of a product's stock, added up."""

STOCK_LOW = "stock_low"
"""A product is short and nobody brought more of it; it lives until a count is higher."""


class StockLow(NamedTuple):
    """The product at the moment of firing."""

    units: int
    low_since_ms: int


BULK_BOUGHT = "bulk_bought"
"""A visitor bought many of one product at once; it lives until the end of the session."""


class BulkBought(NamedTuple):
    """What they bought."""

    product_id: str
    units: int


def register() -> None:
    """Register all of it."""
    register_input_topic(INVENTORY)
    register_output_topic(COVER)
    register_family(KeyFamily(STOCK, "string", SubjectKind.PRODUCT))
    register_family(KeyFamily(LOWEST, "zset"))
    register_family(KeyFamily(BUYERS, "zset"))
    register_family(KeyFamily(RECENT, "list"))
    register_family(KeyFamily(WISHES, "string", SubjectKind.VISITOR))
    register_kind(
        AlertKindSpec(
            STOCK_LOW,
            "A product is short and nobody brought more of it",
            frozenset({SubjectKind.PRODUCT}),
            StockLow,
            {"units": count, "low_since_ms": count},
            describe=lambda detail: f"{detail.units} left",
            outcome="restocked",
        )
    )
    register_kind(
        AlertKindSpec(
            BULK_BOUGHT,
            "A visitor bought many of one product at once",
            frozenset({SubjectKind.VISITOR}),
            BulkBought,
            {"product_id": text, "units": count},
        )
    )
