"""The catalogue of the synthetic shop agrees with its events."""

from itertools import islice

from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from producers.sender import MemorySender
from producers.simulator.shop_products import shop_products, tell_products
from producers.simulator.simulation import SimulationConfig, simulate


def test_the_products_are_those_of_the_events() -> None:
    config = SimulationConfig(wall_clock_ms() - 60_000)
    products = {update.product_id: update.facts for update in shop_products(config, seed=4)}
    for event in islice(simulate(config, seed=4), 2_000):
        facts = products[event.product_id]
        assert (facts["brand"], facts["categories"]) == (event.brand, (event.category,))
    sender = MemorySender(Settings())
    tell_products(shop_products(config, seed=4), sender, Settings())
    assert [record.key for record in sender.records] == [id_.encode() for id_ in products]
