"""The synthetic shop's catalogue, sent before its first event."""

import random
from collections.abc import Iterable

from contracts.currencies import MINOR_DIGITS
from contracts.product_records import ProductUpdate
from contracts.products import Amount
from contracts.settings import Settings
from contracts.topics import Topics
from producers.records import product_record
from producers.sender import Sender
from producers.simulator.catalogue import make_catalogue
from producers.simulator.simulation import SimulationConfig


def shop_products(config: SimulationConfig, seed: int) -> list[ProductUpdate]:
    """The products of `simulate` with the same arguments, as of its start.

    Their stock is left unknown, for the shop sends no more of it while it sells.
    """
    catalogue = make_catalogue(config.profile, random.Random(seed), 10 ** MINOR_DIGITS[config.currency])
    return [
        ProductUpdate(
            product.product_id,
            config.start_ms,
            {
                "title": product.name,
                "price": Amount(product.price_minor, config.currency),
                "brand": product.brand,
                "categories": (product.category,),
                "active": True,
            },
        )
        for product in catalogue.products
    ]


def tell_products(products: Iterable[ProductUpdate], sender: Sender, settings: Settings) -> None:
    """Send them; raises `SendFailed`."""
    topics = Topics(settings.topic_prefix)
    for product in products:
        sender.send_raw(product_record(product, topics, settings.partitions))
